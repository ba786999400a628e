import io
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from crystal_eyes.detector.training.labels import read_labels
from crystal_eyes.errors import UserError
from crystal_eyes.images import flatten, open_picture

WIDTH, HEIGHT = 100, 50
HEAD = (10.0, 5.0, 30.0, 25.0)
LINE = "0 0.2 0.3 0.2 0.4"  # HEAD


def draw(path, size=(WIDTH, HEIGHT), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.effect_noise(size, 60).convert("RGB").save(path, **options)


@pytest.fixture
def yolo(tmp_path):
    """Write a YOLO folder; every named picture exists, every named label holds its text."""

    def make(labels: dict[str, str], pictures=None):
        for name in labels if pictures is None else pictures:
            draw(tmp_path / "images" / f"{name}.png")
        (tmp_path / "labels").mkdir(exist_ok=True)
        for name, text in labels.items():
            (tmp_path / "labels" / f"{name}.txt").parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "labels" / f"{name}.txt").write_text(text)
        return tmp_path

    return make


def boxes_of(labeled) -> dict[str, list]:
    return {one.file: np.round(one.boxes, 3).tolist() for one in labeled}


def why(left_out) -> dict[str, str]:
    assert all("\n" not in reason for _, reason in left_out)
    return dict(left_out)


def refused(path) -> str:
    with pytest.raises(UserError) as caught:
        read_labels(path)
    text = str(caught.value)
    assert "\n" not in text and str(path) in text
    return text


# YOLO folders


def test_linked_yolo_folders_are_read_also_within_each_other(yolo, tmp_path):
    """As whoever keeps one copy of the pictures does: images/train -> /data/pictures."""
    original = yolo({"a": LINE, "b": "", "c/d": LINE}).rename(tmp_path.parent / f"{tmp_path.name}-original")
    for linked in (tmp_path / "whole", tmp_path / "parts"):
        linked.mkdir(parents=True)
    for kind in ("images", "labels"):
        (tmp_path / "whole" / kind).symlink_to(original / kind)
        (tmp_path / "parts" / kind).mkdir()
        (tmp_path / "parts" / kind / "train").symlink_to(original / kind)
    whole, left_out = read_labels(tmp_path / "whole")
    assert boxes_of(whole) == {"a.png": [list(HEAD)], "b.png": [], "c/d.png": [list(HEAD)]} and not left_out
    parts, left_out = read_labels(tmp_path / "parts")
    assert boxes_of(parts) == {f"train/{file}": boxes for file, boxes in boxes_of(whole).items()} and not left_out


def test_files_that_macos_writes_beside_labels_are_counted(yolo):
    folder = yolo({"a": LINE})
    for name in ("images/._a.png", "labels/._a.txt"):
        (folder / name).write_bytes(b"\0\5\x16\7")
    labeled, left_out = read_labels(folder)
    assert boxes_of(labeled) == {"a.png": [list(HEAD)]}
    assert left_out == [(name, "written by macOS beside a picture") for name in ("images/._a.png", "labels/._a.txt")]


def test_a_yolo_folder_gives_pixels_sorted_by_file(yolo):
    folder = yolo({"b": f"{LINE}\n\n0 0.9 0.5 0.2 1\n", "nobody": "", "c/a": LINE})
    labeled, left_out = read_labels(str(folder))
    assert boxes_of(labeled) == {"b.png": [list(HEAD), [80, 0, 100, 50]], "c/a.png": [list(HEAD)], "nobody.png": []}
    assert [one.file for one in labeled] == ["b.png", "c/a.png", "nobody.png"] and not left_out
    assert all(one.path.is_file() and one.size == (WIDTH, HEIGHT) for one in labeled)
    assert all(one.boxes.shape[1] == 4 and one.boxes.dtype == np.float32 for one in labeled)


def test_labels_and_pictures_without_each_other_are_named(yolo):
    folder = yolo({"good": LINE, "x/gone": LINE}, pictures=["good", "unlabeled"])
    labeled, left_out = read_labels(folder)
    assert boxes_of(labeled) == {"good.png": [list(HEAD)]}
    assert "without a picture" in why(left_out)["labels/x/gone.txt"] and "empty file" in why(left_out)["unlabeled.png"]
    assert len(left_out) == 2


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("0 1.5 0.5 0.2 0.2", "outside"),
        ("0 0.5 0.5 0 0.2", "no size"),
        ("0 0.5 0.5 0.2 -0.2", "no size"),
        ("0 nan 0.5 0.2 0.2", "finite numbers"),
        ("0 0.5 0.5 inf 0.2", "finite numbers"),
        ("3 0.5 0.5 0.2 0.2", "class 3 is not"),
        ("head 0.5 0.5 0.2 0.2", "line 2"),
        ("0 0.5 0.5 0.2", "line 2"),
        ("0 0.5 0.5 wide 0.2", "line 2"),
        ("\x00\x07", "line 2"),
    ],
)
def test_a_bad_line_is_named_and_the_others_stay(yolo, line, reason):
    labeled, left_out = read_labels(yolo({"a": f"{LINE}\n{line}\n{LINE}"}))
    assert boxes_of(labeled) == {"a.png": [list(HEAD), list(HEAD)]}
    assert len(left_out) == 1 and reason in why(left_out)["a.png"]


CLASSES = {
    "classes.txt": "face\nhead\n",
    "data.yaml": "path: x\nnames: ['face', \"head\"]\nnc: 2\n",
    "data.yaml ": "names:\n  0: face\n  1: head\ntrain: images\n",
    "data.yaml  ": "nc: 2\nnames:\n- face\n- head\n",
}


@pytest.mark.parametrize("name", CLASSES, ids=["classes.txt", "list", "numbers", "dashes"])
def test_heads_are_the_class_named_head(yolo, name):
    folder = yolo({"a": f"1{LINE[1:]}\n0 0.5 0.5 0.5 0.5"})
    (folder / name.strip()).write_text(CLASSES[name])
    labeled, left_out = read_labels(folder)
    assert boxes_of(labeled) == {"a.png": [list(HEAD)]} and "class 0" in why(left_out)["a.png"]


def test_classes_txt_next_to_the_labels_is_not_read_as_labels(yolo):
    folder = yolo({"a": LINE})
    (folder / "labels/classes.txt").write_text("head\n")
    assert read_labels(folder)[1] == []


def test_a_byte_order_mark_is_not_part_of_a_class(yolo):
    assert read_labels(yolo({"a": "\ufeff" + LINE}))[1] == []


# pictures


def test_pictures_that_cannot_be_read_are_named(yolo):
    folder = yolo({name: LINE for name in ("good", "text", "empty", "half", "folder")}, pictures=["good"])
    (folder / "images/text.jpg").write_text("hello")
    (folder / "images/empty.webp").touch()
    (folder / "images/folder.png").mkdir()
    draw(folder / "images/half.jpg", (400, 400))
    data = (folder / "images/half.jpg").read_bytes()
    (folder / "images/half.jpg").write_bytes(data[: len(data) // 2])
    labeled, left_out = read_labels(folder)
    assert [one.file for one in labeled] == ["good.png"]
    assert set(why(left_out)) == {"text.jpg", "empty.webp", "half.jpg", "labels/folder.txt"}


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_belong_to_the_upright_picture(yolo, orientation, suffix):
    folder = yolo({"a": LINE}, pictures=[])
    exif = Image.Exif()
    exif[0x0112] = orientation
    draw(folder / f"images/a.{suffix}", exif=exif)
    (one,), _ = read_labels(folder)
    shown = flatten(open_picture(one.path.read_bytes()))
    assert one.size == shown.size == ((WIDTH, HEIGHT) if orientation < 5 else (HEIGHT, WIDTH))
    np.testing.assert_allclose(one.boxes[0], [0.1 * one.size[0], 0.1 * one.size[1], 0.3 * one.size[0], 0.5 * one.size[1]])


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_an_enormous_picture_is_named_not_loaded(yolo):
    folder = yolo({"good": LINE, "big": LINE}, pictures=["good"])
    Image.new("1", (8001, 8001)).save(folder / "images/big.png")
    labeled, left_out = read_labels(folder)
    assert [one.file for one in labeled] == ["good.png"] and "too large" in why(left_out)["big.png"]


# tables


ROWS = {
    "a.png": [HEAD, (90.0, 40.0, 120.0, 80.0)],
    "nobody.png": [],
    "sub/b.png": [(200, 0, 220, 20), HEAD, (5, 5, 5, 20), (30, 5, 10, 20), (float("nan"), 1, 2, 3)],
    "gone.png": [HEAD],
}
EXPECTED = {"a.png": [list(HEAD), [90, 40, 100, 50]], "nobody.png": [], "sub/b.png": [list(HEAD)]}


def write_table(folder, kind: str):
    for name in EXPECTED:
        draw(folder / name)
    path = folder / f"boxes.{kind}"
    if kind == "json":
        path.write_text(json.dumps([{"file": file, "heads": heads} for file, heads in ROWS.items()]))
        return path
    rows = [(file, *box) for file, heads in ROWS.items() for box in heads or [(None,) * 4]]
    table = pd.DataFrame(rows[::-1], columns=["file", "left", "top", "right", "bottom"])
    table["score"] = 0.5  # other columns are ignored
    table.to_csv(path, index=False) if kind == "csv" else table.to_parquet(path)
    return path


@pytest.mark.parametrize("kind", ["json", "csv", "parquet"])
@pytest.mark.parametrize("as_folder", [True, False])
def test_a_table_of_boxes_in_pixels(tmp_path, kind, as_folder):
    path = write_table(tmp_path, kind)
    labeled, left_out = read_labels(tmp_path if as_folder else path)
    assert {file: sorted(boxes) for file, boxes in boxes_of(labeled).items()} == EXPECTED
    assert [one.file for one in labeled] == sorted(EXPECTED)
    reasons = sorted(reason.split("] ")[-1] for file, reason in left_out if file == "sub/b.png")
    assert reasons == ["has no size", "has no size", "is not four finite numbers", "lies outside the picture"]
    assert "missing" in why(left_out)["gone.png"] and len(left_out) == 5


@pytest.mark.parametrize("text", ["{", "[]x", '[{"file": "a.png"}]', '[{"file": "a.png", "heads": [[1, 2, 3]]}]', "[1]", "7"])
def test_other_json_is_refused_with_what_it_should_be(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    assert '"heads"' in refused(tmp_path / "x.json")


@pytest.mark.parametrize("data", [b"", b"file,left,top\na,1,2\n", b"file,left,top,right,bottom\na,1,2,x,4\n", b"\xff\xfe\x00"])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_other_tables_are_refused_with_what_they_should_be(tmp_path, data, kind):
    if kind == "parquet" and data.startswith(b"file"):
        buffer = io.BytesIO()
        pd.read_csv(io.BytesIO(data)).to_parquet(buffer)
        data = buffer.getvalue()
    (tmp_path / f"x.{kind}").write_bytes(data)
    assert "it needs the columns file, left" in refused(tmp_path / f"x.{kind}")


# nothing to work with


def test_a_missing_folder_and_a_folder_of_something_else_are_refused(tmp_path):
    assert "do not exist" in refused(tmp_path / "gone") and "images/ and labels/" in refused(tmp_path / "gone")
    assert "contains no boxes" in refused(tmp_path)
    (tmp_path / "a.csv").touch()
    (tmp_path / "b.json").touch()
    assert "a.csv, b.json" in refused(tmp_path)
    (tmp_path / "labels").mkdir()
    assert "no images/" in refused(tmp_path)


def test_labels_of_which_nothing_is_left_are_refused_with_an_example(yolo):
    folder = yolo({"a": "0 1.5 0.5 0.2 0.2", "nobody": ""})
    assert "no usable box (such as a.png: box [140.0" in refused(folder) and "outside" in refused(folder)


def test_a_file_listed_twice_is_one_picture(tmp_path):
    draw(tmp_path / "a.png")
    rows = [{"file": "a.png", "heads": [box]} for box in ([1, 1, 9, 9], [20, 20, 30, 30])]
    (tmp_path / "x.json").write_text(json.dumps(rows))
    assert [len(one.boxes) for one in read_labels(tmp_path)[0]] == [2]


def test_two_pictures_of_one_name_are_named(yolo):
    folder = yolo({"a": LINE})
    draw(folder / "images/a.jpg")
    labeled, left_out = read_labels(folder)
    assert {one.file for one in labeled} | {file for file, _ in left_out} == {"a.jpg", "a.png"}


@pytest.mark.parametrize("line", ["0 0.5 0.5 0.7 0.5 0.7 0.9 0.5 0.9", "inf 0.5 0.5 0.2 0.2"])
def test_a_polygon_or_a_class_that_is_too_large_is_named(yolo, line):
    labeled, left_out = read_labels(yolo({"a": f"{LINE}\n{line}"}))
    assert len(labeled[0].boxes) == 1 and "line 2" in left_out[0][1]


def test_classes_without_heads_are_refused(yolo):
    folder = yolo({"a": LINE})
    (folder / "labels" / "classes.txt").write_text("person\ncar\n")
    with pytest.raises(UserError, match="named head"):
        read_labels(folder)


@pytest.mark.parametrize("text", ["names: {0: person, 1: head}", "names:  # two\n- person\n# and\n- head  # this one\n"])
def test_heads_are_found_among_the_names_of_data_yaml(yolo, text):
    folder = yolo({"a": "1" + LINE[1:] + "\n" + LINE})
    (folder / "data.yaml").write_text(text)
    labeled, left_out = read_labels(folder)
    assert len(labeled[0].boxes) == 1 and len(left_out) == 1


@pytest.mark.parametrize(
    "text",
    [
        '[{"file": "a.png", "heads": [[1, 1, 9, 9, 1, 1, 9, 9]]}]',
        "[" * 100_000,
        '[{"file": "a.png", "heads": [[1, 1, 1' + "0" * 400 + ", 9]]}]",
    ],
)
def test_json_that_is_no_table_of_boxes_is_refused_in_one_line(tmp_path, text):
    draw(tmp_path / "a.png")
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(UserError, match="can't be read") as caught:
        read_labels(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_file_of_digits_keeps_its_zeros(tmp_path):
    draw(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "0001")
    (tmp_path / "x.csv").write_text("file,left,top,right,bottom\n0001,1,1,9,9\n")
    assert read_labels(tmp_path)[0][0].file == "0001"
