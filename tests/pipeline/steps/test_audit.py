import shutil

import mlflow
import pandas as pd
import pytest

from pipeline.main import log_audit
from tests.runs import ROOT, Project, artifacts, draw_heads, tracking_store


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return Project.on(ROOT, tmp_path_factory.mktemp("audit"))


def test_it_logs_counts_and_page_and_a_cleaned_table_that_is_read_beside_the_pictures(project, tmp_path):
    heads = draw_heads(tmp_path / "heads", characters=5, pictures=3)
    shutil.copy(heads / "Character 0/0.png", heads / "Character 1/copy.png")
    (heads / "Character 2/empty.png").touch()
    output = project.call("audit", {"dataset": heads})
    assert "2 two names" in output and "heads are in cleaned.csv" in output
    run = project.runs("audit")[0]
    assert run.data.metrics["found/two_names"] == 2 and run.data.metrics["found/unusable"] == 1
    assert run.data.metrics["heads"] == 17
    folder = artifacts(run) / "audit"
    assert sorted(path.name for path in folder.iterdir()) == ["cleaned.csv", "findings.csv", "page.html"]
    assert str(tmp_path) not in (folder / "cleaned.csv").read_text("utf-8")
    shutil.copy(folder / "cleaned.csv", heads)
    cleaned = pd.read_csv(heads / "cleaned.csv")
    assert len(cleaned) == run.data.metrics["heads_kept"] and all((heads / file).is_file() for file in cleaned["file"])
    with tracking_store(project.tracking_uri), mlflow.start_run() as main:
        log_audit(run)  # as main does with audit=true
    logged = project.client.get_run(main.info.run_id).data.metrics
    assert logged["found/two_names"] == 2 and logged["found/unusable"] == 1
    output = project.call("prepare", {"dataset": heads / "cleaned.csv", "min_pictures": 2})
    assert "14 pictures of 5 characters" in output  # without both copies, and the empty file


def test_a_missing_dataset_is_one_line(project, tmp_path):
    output = project.call("audit", {"dataset": tmp_path / "nothing"}, code=1)
    assert output.count("does not exist") == 1 and "Traceback" not in output
