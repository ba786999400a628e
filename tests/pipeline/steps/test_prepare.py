import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.runs import ROOT, Project, artifacts, draw_heads


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return Project.on(ROOT, tmp_path_factory.mktemp("prepare"))


@pytest.fixture
def heads(tmp_path):
    return draw_heads(tmp_path / "heads")


def as_splits(heads: Path, folder: Path) -> Path:
    """The same heads as an ImageFolder dataset."""
    for file in heads.glob("*/*.png"):
        target = folder / ("train" if file.stem < "4" else "test") / file.parent.name / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    return folder


def test_it_says_what_it_understood_and_names_what_stands_under_two_characters(project, heads, tmp_path):
    folder = as_splits(heads, tmp_path / "splits")
    shutil.copy(folder / "train/Character 0/0.png", folder / "test/Character 1/copy.png")
    output = project.call("prepare", {"dataset": folder})
    assert "read as folders, one per character: 49 pictures, 8 characters; splits: train 32, test 17\n" in output
    assert "left out 1: the same picture is also labeled Character 0 (such as test/Character 1/copy.png)\n" in output
    assert "warning: 2 pictures are left out because they stand under several characters" in output
    run = project.runs("prepare")[0]
    dropped = pd.read_csv(artifacts(run) / "dropped.csv")
    assert sorted(dropped["file"]) == ["test/Character 1/copy.png", "train/Character 0/0.png"]
    table = pd.read_parquet(artifacts(run) / "catalogue" / "catalogue.parquet")
    assert len(table) + len(dropped) == 49
    assert set(table.loc[table["file"].str.startswith("test/"), "classifier_split"]) <= {"test"}


def test_every_line_of_a_table_is_accounted_for_in_its_output(project, heads):
    rows = [f"{file.relative_to(heads)};{file.parent.name}" for file in sorted(heads.glob("*/*.png"))]
    text = "\r\n".join(["File;Character", *rows, "lost.png;Character 0", "", rows[0]])
    (heads / "labels.csv").write_bytes(text.encode("utf-16"))
    output = project.call("prepare", {"dataset": heads})
    assert "table labels.csv (utf-16, semicolons), 52 lines, 50 rows below the header" in output
    assert "catalogue: 48 pictures of 8 characters; 3 left out (dropped.csv lists the reasons)" in output
