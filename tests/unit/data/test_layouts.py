import unicodedata
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from crystal_eyes.data.layouts import COLUMNS, dataset_files, read_dataset
from crystal_eyes.data.selection import head_bytes
from crystal_eyes.errors import UserError
from crystal_eyes.images import open_picture


def put(root: Path, *files: str) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), "red").save(root / file)
    return root


def put_csv(root: Path, text: str, *files: str, name: str = "table.csv") -> Path:
    put(root, *files)
    (root / name).write_text(text, encoding="utf-8")
    return root / name


def fails(path: Path, remedy: str) -> None:
    with pytest.raises(UserError, match=remedy) as caught:
        read_dataset(path, 0.85)
    assert "\n" not in str(caught.value)


# A folder a character


def test_a_folder_a_character(tmp_path):
    table, left_out = read_dataset(put(tmp_path, "Rei/2.png", "Rei/1.JPG", "Asuka Langley/1.webp"), 0.85)
    assert list(table.columns) == COLUMNS
    assert table[["character", "file"]].to_numpy().tolist() == [
        ["Asuka Langley", "Asuka Langley/1.webp"], ["Rei", "Rei/1.JPG"], ["Rei", "Rei/2.png"],
    ]  # fmt: skip
    assert all(Path(path).is_absolute() and Path(path).is_file() for path in table["path"])
    assert (table[["series", "set", "artwork", "split"]] == "").all(axis=None)
    assert table["monochrome"].isna().all() and table["box"].isna().all() and not left_out


def test_sets_may_be_nested(tmp_path):
    table, _ = read_dataset(put(tmp_path, "Shows/Eva/Rei/1.png", "Games/Aqua/1.png", "Solo/1.png"), 0.85)
    assert dict(zip(table["character"], table["set"])) == {"Rei": "Shows/Eva", "Aqua": "Games", "Solo": ""}


def test_what_is_no_picture_of_a_character_is_named_as_left_out(tmp_path):
    put(tmp_path, "Rei/1.png", "loose.png", ".hidden/1.png", "Rei/.thumb.png")
    (tmp_path / "Rei" / "notes.txt").write_text("hello")
    table, left_out = read_dataset(tmp_path, 0.85)
    assert table["file"].tolist() == ["Rei/1.png"]
    assert dict(left_out) == {"loose.png": "in no character's folder", "Rei/notes.txt": "no picture by its suffix"}


def test_names_with_spaces_and_any_letters_are_kept_and_their_normal_forms_are_one(tmp_path):
    for name in ("Häagen Dazs", "博麗 霊夢", "ガンダム"):
        for form in ("NFC", "NFD"):
            put(tmp_path, f"{unicodedata.normalize(form, name)}/{form}.png")
    table, _ = read_dataset(tmp_path, 0.85)
    assert table.groupby("character").size().to_dict() == {"Häagen Dazs": 2, "ガンダム": 2, "博麗 霊夢": 2}
    assert all(unicodedata.is_normalized("NFC", name) for name in table["character"])
    for path in table["path"]:
        assert open_picture(Path(path).read_bytes()).size == (8, 8)


def test_one_name_in_two_sets_is_two_characters(tmp_path):
    table, _ = read_dataset(put(tmp_path, "Love Live/Rin/1.png", "Sekai/Rin/1.png", "Sekai/Len/1.png"), 0.85)
    assert sorted(table["character"]) == ["Len", "Rin (Love Live)", "Rin (Sekai)"]


# A table


def test_a_table_is_read_with_all_its_columns(tmp_path):
    text = (
        "file,character,series,set,artwork,monochrome,split\n"
        'a b.png,"Yui, the first",K-On!,fan art,drawing 1,1,Train\n'
        "sub/c.png,Mio,K-On!,,,0,val\n"
        "d.png,Mio,K-On!,,,,TEST\n"
    )
    path = put_csv(tmp_path, text, "a b.png", "sub/c.png", "d.png")
    for given in (path, tmp_path):  # a folder with one such table is that table
        table, left_out = read_dataset(given, 0.85)
        assert table.drop(columns=["path", "box"]).to_numpy().tolist() == [
            ["d.png", "Mio", "K-On!", "", "", None, "test"],
            ["sub/c.png", "Mio", "K-On!", "", "", False, "validation"],
            ["a b.png", "Yui, the first", "K-On!", "fan art", "drawing 1", True, "train"],
        ]
        assert not left_out


def test_a_byte_order_mark_and_numbers_as_names_do_no_harm(tmp_path):
    path = put_csv(tmp_path, "\ufefffile,character\n1.png,002\n2.png,NA\n", "1.png", "2.png")
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    assert read_dataset(path, 0.85)[0]["character"].tolist() == ["002", "NA"]


def test_parquet_says_the_same_as_csv(tmp_path):
    put(tmp_path, "1.png", "2.png", "3.png")
    frame = pd.DataFrame({
        "file": ["1.png", "2.png", "3.png"], "character": ["Mio", "Yui", None], "monochrome": [True, None, False],
        "split": ["train", None, "test"],
    })  # fmt: skip
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_csv(tmp_path / "t.csv", index=False)
    first, second = (read_dataset(tmp_path / name, 0.85) for name in ("t.parquet", "t.csv"))
    pd.testing.assert_frame_equal(first[0], second[0])
    assert first[1] == second[1] == [("3.png", "no character in the table")]
    assert first[0]["monochrome"].tolist() == [True, None]


def test_a_file_that_is_missing_on_disk_is_named_and_the_others_are_used(tmp_path):
    path = put_csv(tmp_path, "file,character\n1.png,a\nlost.png,a\n,a\n", "1.png")
    table, left_out = read_dataset(path, 0.85)
    assert table["file"].tolist() == ["1.png"]
    assert [file for file, why in left_out if "missing on disk" in why] == ["lost.png", ""]


def test_files_named_in_another_normal_form_are_found(tmp_path):
    for form in ("NFC", "NFD"):
        put(tmp_path, unicodedata.normalize(form, f"ガ{form}.png"))
    names = [unicodedata.normalize(form, "ガNFC.png") for form in ("NFC", "NFD")] + [unicodedata.normalize("NFD", "ガNFD.png")]
    path = put_csv(tmp_path, "file,character\n" + "".join(f"{name},c{i}\n" for i, name in enumerate(names)))
    table, left_out = read_dataset(path, 0.85)
    assert table["character"].tolist() == ["c0", "c1", "c2"] and not left_out


def test_one_name_in_two_series_is_two_characters(tmp_path):
    text = "file,character,series\n1.png,Rin,Love Live!\n2.png,Rin,Sekai\n3.png,Rin,Sekai\n4.png,Len,Sekai\n5.png,Rin,\n"
    table, _ = read_dataset(put_csv(tmp_path, text, *(f"{i}.png" for i in range(1, 6))), 0.85)
    assert table["character"].tolist() == ["Len", "Rin", "Rin (Love Live!)", "Rin (Sekai)", "Rin (Sekai)"]


def test_a_name_is_one_line(tmp_path):
    path = put_csv(tmp_path, 'file,character\n1.png," Ana\n  María "\n', "1.png")
    assert read_dataset(path, 0.85)[0]["character"].tolist() == ["Ana María"]


def test_a_row_given_twice_counts_once(tmp_path):
    path = put_csv(tmp_path, "file,character\n1.png,a\n1.png,a\n1.png,b\n", "1.png")
    assert read_dataset(path, 0.85)[0]["character"].tolist() == ["a", "b"]


@pytest.mark.parametrize(
    "text, remedy",
    [
        ("file,name\n1.png,a\n", "no column character"),
        ("1.png\n", "no column character and file"),
        ("", "can't be read as a table"),
        ("file,character,split\n1.png,a,holdout\n", "'holdout' of 1.png.*train, validation or test"),
        ("file,character\n", "holds no labelled picture"),
        ('file,character\n"1.png,a\n', "can't be read as a table"),
    ],
)
def test_a_wrong_table_says_what_to_mend(tmp_path, text, remedy):
    fails(put_csv(tmp_path, text, "1.png"), remedy)


def test_a_file_that_is_no_table_says_so(tmp_path):
    fails(put(tmp_path, "1.png") / "1.png", "can't be read as a table|no column")
    (tmp_path / "t.parquet").write_bytes(b"PAR1 not really")
    fails(tmp_path / "t.parquet", "can't be read as a table")


def test_several_tables_in_a_folder_ask_for_one(tmp_path):
    put_csv(tmp_path, "file,character\n1.png,a\n", "1.png")
    put_csv(tmp_path, "file,character\n1.png,b\n", name="other.csv")
    fails(tmp_path, "other.csv, table.csv.*name one")


def test_other_tables_beside_the_folders_of_characters_are_not_taken_for_the_dataset(tmp_path):
    put_csv(tmp_path, "price,amount\n1,2\n", "Rei/1.png", name="shopping.csv")
    assert read_dataset(tmp_path, 0.85)[0]["character"].tolist() == ["Rei"]


# The Danbooru 2018 set


def danbooru(root: Path, faces: str, tags: str = "rei\t7\nasuka\t8\n", **splits: str) -> Path:
    put(root, "0001/1001.jpg", "0001/1002.jpg", "0002/1003.jpg")
    (root / "faces.tsv").write_text(faces)
    (root / "tagIds.tsv").write_text(tags)
    for split, text in splits.items():
        (root / f"{split}Split.tsv").write_text(text)
    return root


FACES = (
    "0001/1001.jpg\t7\t1,2,5,6,0.99\n"
    "1002.jpg\t7\t0.25,0.5,0.75,1.0,0.9\n"
    "0002/1003.jpg\t8\t0,0,4,4,0.86\n"
    "0002/1003.jpg\t7\t4,4,8,8,0.95\n"
    "0002/1003.jpg\t8\t0,0,8,8,0.84\n"
)


@pytest.mark.parametrize("tags", ["rei\t7\nasuka\t8\n", "7\trei\n8\tasuka\n"])
def test_the_danbooru_set_gives_a_row_a_head(tmp_path, tags):
    for given in (danbooru(tmp_path, FACES, tags), tmp_path / "faces.tsv"):
        table, left_out = read_dataset(given, 0.85)
        assert table[["character", "file", "artwork", "box"]].to_numpy().tolist() == [
            ["asuka", "0002/1003.jpg", "1003", (0, 0, 4, 4)],
            ["rei", "0001/1001.jpg", "1001", (1, 2, 5, 6)],
            ["rei", "0002/1003.jpg", "1003", (4, 4, 8, 8)],
            ["rei", "1002.jpg", "1002", (0.25, 0.5, 0.75, 1.0)],
        ]
        assert all(Path(path).is_file() for path in table["path"])
        assert left_out == [("0002/1003.jpg", "confidence below 0.85")]


def test_a_lower_confidence_takes_more_boxes(tmp_path):
    danbooru(tmp_path, FACES)
    assert [len(read_dataset(tmp_path, floor)[0]) for floor in (0.0, 0.84, 0.9, 0.95)] == [5, 5, 3, 2]


def test_boxes_are_cut_out_in_pixels_and_in_fractions(tmp_path):
    picture = Image.new("RGB", (8, 8), "blue")
    picture.paste("red", (2, 4, 6, 8))
    picture.save(tmp_path / "p.png")
    for box in ((2, 4, 6, 8), (0.25, 0.5, 0.75, 1.0)):
        head = open_picture(head_bytes(str(tmp_path / "p.png"), box))
        assert head.size == (4, 4) and set(head.get_flattened_data()) == {(255, 0, 0)}


def test_splits_are_read_by_the_pictures_number(tmp_path):
    danbooru(tmp_path, FACES, train="1001\n", val="1002\n", test="1003\trest is ignored\n")
    table, _ = read_dataset(tmp_path, 0.85)
    assert dict(zip(table["artwork"], table["split"])) == {"1001": "train", "1002": "validation", "1003": "test"}


def test_unknown_tags_and_missing_pictures_are_named(tmp_path):
    faces = FACES + "0001/1001.jpg\t99\t1,1,5,5,0.9\n0001/4004.jpg\t7\t1,1,5,5,0.9\n"
    _, left_out = read_dataset(danbooru(tmp_path, faces), 0.85)
    assert ("0001/1001.jpg", "tag 99 is not in tagIds.tsv") in left_out
    assert ("0001/4004.jpg", "named in faces.tsv but missing on disk") in left_out


@pytest.mark.parametrize(
    "faces, remedy",
    [
        ("0001/1001.jpg\t7\n", "faces.tsv line 1: 2 columns where 3"),
        (FACES + "0001/1001.jpg 7 1,2,3,4,0.9\n", "faces.tsv line 6: 1 columns"),
        ("0001/1001.jpg\t7\t1,2,5,6\n", "left,top,right,bottom,confidence"),
        ("0001/1001.jpg\t7\ta,b,c,d,e\n", "left,top,right,bottom,confidence"),
        ("", "no labelled picture"),
    ],
)
def test_a_malformed_line_is_named(tmp_path, faces, remedy):
    fails(danbooru(tmp_path, faces), remedy)


def test_the_danbooru_set_needs_its_tags(tmp_path):
    (danbooru(tmp_path, FACES) / "tagIds.tsv").unlink()
    fails(tmp_path, "tagIds.tsv is missing")


def test_tables_in_another_encoding_are_the_users_to_mend(tmp_path):
    danbooru(tmp_path, FACES)
    (tmp_path / "tagIds.tsv").write_bytes("räi\t7\n".encode("latin-1"))
    fails(tmp_path, "tagIds.tsv.*UTF-8")
    (tmp_path / "t.csv").write_bytes("file,character\n1.png,räi\n".encode("latin-1"))
    fails(tmp_path / "t.csv", "UTF-8")


# Nothing there


def test_a_missing_dataset_says_how_to_give_one(tmp_path):
    fails(tmp_path / "nothing", "does not exist.*dataset=")
    with pytest.raises(UserError, match="does not exist"):
        dataset_files(tmp_path / "nothing")


def test_a_folder_without_characters_says_what_it_needs(tmp_path):
    fails(tmp_path, "a folder a character, or a table")
    fails(put(tmp_path, "1.png", "2.png"), "a folder a character, or a table")


# The files behind a dataset


def test_the_files_of_a_dataset_are_all_that_reading_it_may_use(tmp_path):
    put(tmp_path / "folders", "Rei/1.png", "Set/Asuka/1.png", ".git/1.png")
    assert dataset_files(tmp_path / "folders") == [tmp_path / "folders" / f for f in ("Rei/1.png", "Set/Asuka/1.png")]
    table = put_csv(tmp_path / "table", "file,character\n1.png,a\n../folders/Rei/1.png,b\n", "1.png", "unused.png")
    assert dataset_files(table) == [table, *sorted([tmp_path / "table/1.png", tmp_path / "folders/Rei/1.png"])]
    danbooru(tmp_path / "danbooru", FACES, test="1003\n")
    names = {path.name for path in dataset_files(tmp_path / "danbooru" / "faces.tsv")}
    assert names == {"faces.tsv", "tagIds.tsv", "testSplit.tsv", "1001.jpg", "1002.jpg", "1003.jpg"}


def test_the_real_pictures_are_read_by_their_table(real_characters):
    table, left_out = read_dataset(real_characters, 0.85)
    assert not left_out and table["set"].nunique() == 13
    assert len(table) == 12_924 and table["character"].nunique() == 1_939
