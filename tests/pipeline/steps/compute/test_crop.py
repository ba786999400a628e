"""What the step crop computes, with a detector that answers from a table."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from crystal_eyes.boxes import as_boxes
from crystal_eyes.detector.cutting import ALL, COORDINATES, LEAVE_OUT
from steps.compute import crop as computing
from steps.compute.crop import BoxCache, crop

# by the red of the picture: boxes of its heads
HEADS = {10: [], 20: [(10, 10, 30, 30)], 30: [(5, 5, 15, 15), (20.25, 20.125, 44.1, 41)]}


class StubDetector:
    """Finds the heads that HEADS names, and counts the pictures that it was shown."""

    seen: list[int] = []

    def __init__(self, path):
        pass

    def detect(self, picture: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
        self.seen.append(int(picture[0, 0, 0]))
        if self.seen[-1] == 99:
            raise KeyboardInterrupt
        boxes = as_boxes(HEADS[self.seen[-1]])
        return boxes, np.full(len(boxes), 0.9, np.float32)


@pytest.fixture
def detector(monkeypatch) -> type[StubDetector]:
    monkeypatch.setattr(computing, "HeadDetector", StubDetector)
    StubDetector.seen = []
    return StubDetector


@pytest.fixture
def illustrations(tmp_path):
    for red in HEADS:
        home = tmp_path / "illustrations" / f"Character {red}"
        home.mkdir(parents=True)
        Image.new("RGB", (60, 50), (red, 0, 0)).save(home / "a.png")
    return tmp_path / "illustrations"


@pytest.mark.parametrize(("several", "cut"), [(LEAVE_OUT, 1), ("largest", 2), (ALL, 3)])
def test_heads_are_cut_and_what_is_left_out_is_said(detector, illustrations, tmp_path, several, cut):
    (illustrations / "Character 10" / "broken.png").write_bytes(b"not a picture")
    (illustrations / "Character 10" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    cropped = crop(illustrations, tmp_path, 0.4, several, tmp_path)
    table = pd.read_csv(cropped.folder / "manifest.csv")
    assert cropped.heads == len(table) == cut == len(list(cropped.folder.glob("*.png")))
    assert [len(boxes) for _, boxes in cropped.found] == [0, 1, 2]
    reasons = dict(cropped.left_out)
    assert reasons["Character 10/a.png"] == "no head found" and "Character 10/broken.png" in reasons
    assert reasons["Character 10/gone.png"] == "can't be read: No such file or directory"
    assert ("Character 30/a.png" in reasons) == (several == LEAVE_OUT)
    assert not any("-P" in reason for reason in reasons.values())
    places = [tuple(row) for row in table[list(COORDINATES)].to_numpy()]
    kept = {LEAVE_OUT: HEADS[20], "largest": [*HEADS[20], HEADS[30][1]], ALL: [*HEADS[20], *HEADS[30]]}[several]
    np.testing.assert_allclose(places, kept, atol=0.051)


def test_a_picture_with_labels_of_two_characters_is_left_out(detector, illustrations, tmp_path):
    rows = [("Character 20/a.png", "A"), ("Character 20/a.png", "B"), ("Character 30/a.png", "C")]
    pd.DataFrame(rows, columns=["file", "character"]).to_csv(illustrations / "table.csv", index=False)
    cropped = crop(illustrations / "table.csv", tmp_path, 0.4, "largest", tmp_path)
    assert cropped.heads == 1 and "several characters" in dict(cropped.left_out)["Character 20/a.png"]


def test_an_interrupted_run_continues_and_gives_what_an_uninterrupted_one_gives(detector, illustrations, tmp_path):
    (illustrations / "Character 99").mkdir()
    Image.new("RGB", (60, 50), (99, 0, 0)).save(illustrations / "Character 99" / "a.png")
    for name in ("once", "twice"):
        (tmp_path / name).mkdir()
    with pytest.raises(KeyboardInterrupt):
        crop(illustrations, tmp_path, 0.4, ALL, tmp_path / "twice")
    (illustrations / "Character 99" / "a.png").unlink()
    (illustrations / "Character 99").rmdir()
    detector.seen.clear()
    again = crop(illustrations, tmp_path, 0.4, ALL, tmp_path / "twice")
    assert detector.seen == []
    once = crop(illustrations, tmp_path, 0.4, ALL, tmp_path / "once")
    files = sorted(path.name for path in once.folder.iterdir())
    assert files == sorted(path.name for path in again.folder.iterdir())
    assert all((once.folder / name).read_bytes() == (again.folder / name).read_bytes() for name in files)


def test_a_cache_keeps_boxes_exactly_and_drops_a_truncated_line(tmp_path):
    boxes = np.random.default_rng(0).uniform(0, 500, (3, 4)).astype(np.float32)
    cache = BoxCache(tmp_path / "found.jsonl")
    cache.put("a", boxes)
    cache.put("none", as_boxes([]))
    with (tmp_path / "found.jsonl").open("a") as file:
        file.write(json.dumps(["cut", boxes.tolist()])[:-9])
    again = BoxCache(tmp_path / "found.jsonl")
    np.testing.assert_array_equal(again.get("a"), boxes)
    assert again.get("none").shape == (0, 4) and again.get("cut") is None and again.get("b") is None
