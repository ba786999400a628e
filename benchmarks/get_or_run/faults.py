"""The known faults of the classic cache, each provoked on real runs and checked in both caches."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from mlflow import MlflowClient
from PIL import Image

Mlflow = Callable[..., None]  # (folder, entry point, **parameters): `mlflow run`


def table(tree: Path, dataset: Path, mlflow: Mlflow) -> str:
    """Markdown, one row per fault. tree: a working tree with a finished run of main on `dataset`; both are changed."""
    client, rows = MlflowClient(), []

    def newest(step: str):
        found = client.search_runs(["0"], f"tags.`crystal_eyes.step` = '{step}' and attributes.status = 'FINISHED'")
        return max(found, key=lambda run: run.info.end_time)

    def ask(what: str, step: str, parameters: dict, right: str | None, at: Path = tree, names: dict | None = None) -> None:
        command = [sys.executable, at / "benchmarks" / "get_or_run" / "decide.py", json.dumps([[step, parameters]])]
        (answer,) = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        names = names or {right: "reuse", None: "run"}
        words = [names.get(right, "reuse" if right else "run")]
        for cache in ("classic", "ours"):
            words += [names.get(answer[cache], "reuse"), "no" if answer[cache] == right else "yes"]
        rows.append("| " + " | ".join([what, words[0], words[1], words[3], words[2], words[4]]) + " |")

    prepare, train, embed = newest("prepare"), newest("train"), newest("embed")
    whole = {**embed.data.params, "embed_batch": int(embed.data.params["embed_batch"])}
    ask("(control) the same step again, nothing changed", "embed", embed.data.params, embed.info.run_id)
    ask("the same step again, a parameter given as an int", "embed", whole, embed.info.run_id)
    ask("no parameters given (prepare of the built-in cast), another dataset was prepared", "prepare", {}, None)

    with changed(tree / "crystal_eyes" / "training.py"):
        ask("dirty tree: the code of train edited, not committed", "train", train.data.params, None)

    mlflow(tree, "prepare", dataset=dataset)
    again = newest("prepare")
    names = {prepare.info.run_id: "the older", again.info.run_id: "the newer", None: "run"}
    ask("two runs match", "prepare", {"dataset": str(dataset)}, again.info.run_id, names=names)

    outside = tree.with_name("outside-git")
    shutil.copytree(tree, outside, ignore=shutil.ignore_patterns(".git"))
    mlflow(outside, "prepare", dataset=dataset)
    with changed(outside / "steps" / "prepare.py"):
        ask("outside git (no commit): the code of prepare edited", "prepare", {"dataset": str(dataset)}, None, at=outside)

    picture = next(dataset.rglob("*.png"))
    Image.effect_noise((40, 40), 90).save(picture)
    ask("a picture of the dataset changed, its name did not", "prepare", {"dataset": str(dataset)}, None)
    head = "| situation | correct | classic | Crystal Eyes | classic is wrong | Crystal Eyes is wrong |\n" + 6 * "|---" + "|\n"
    return head + "\n".join(rows)


class changed:
    """Context manager: adds one line of code to a source file."""

    def __init__(self, file: Path):
        self.file, self.before = file, file.read_text(encoding="utf-8")

    def __enter__(self) -> None:
        self.file.write_text(self.before + "\nWARMUP = 0.5\n", encoding="utf-8")

    def __exit__(self, *_) -> None:
        self.file.write_text(self.before, encoding="utf-8")
