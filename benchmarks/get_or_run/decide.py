"""Which run the two caches would reuse, as JSON: decide.py '[["embed", {"onnx": ...}], ...]'. Executes no step.

Both are queried in the working tree of this file, so that they use its code.
"""

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(HERE / "classic")]

from classic import _already_ran  # noqa: E402
from mlflow import MlflowClient  # noqa: E402
from mlflow.utils.git_utils import get_git_commit  # noqa: E402

from pipeline.cache.records import find  # noqa: E402
from pipeline.get_or_run import key_of  # noqa: E402

client, commit, answers = MlflowClient(), get_git_commit(str(ROOT)), []
for entry_point, parameters in json.loads(sys.argv[1]):
    theirs = _already_ran(entry_point, parameters, commit, "0")
    ours, _ = find(client, "0", key_of(entry_point, parameters))
    answers.append({"classic": theirs and theirs.info.run_id, "ours": ours and ours.info.run_id})
print(json.dumps(answers))
