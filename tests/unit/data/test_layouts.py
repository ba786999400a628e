import unicodedata
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from crystal_eyes.data.cropping import LabeledBox
from crystal_eyes.data.layouts import (
    COLUMNS,
    LAYOUTS,
    danbooru,
    dataset_files,
    folders,
    load_dataset,
    read_dataset,
    shards,
    table,
)
from crystal_eyes.data.left_out import summary_lines
from crystal_eyes.errors import UserError
from crystal_eyes.images import open_picture
from crystal_eyes.names import normalize_name


def put(root: Path, *files: str) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), "red").save(root / file)
    return root


def put_csv(root: Path, text: str, *files: str, name: str = "table.csv") -> Path:
    put(root, *files)
    (root / name).write_text(text, encoding="utf-8")
    return root / name


def fails(path: Path, says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        read_dataset(path, 0.85)
    assert "\n" not in str(caught.value)


# One folder per character


def test_one_folder_per_character(tmp_path):
    found, left_out = read_dataset(put(tmp_path, "Rei/2.png", "Rei/1.JPG", "Asuka Langley/1.webp"), 0.85)
    assert list(found.columns) == COLUMNS
    assert found[["character", "file"]].to_numpy().tolist() == [
        ["Asuka Langley", "Asuka Langley/1.webp"], ["Rei", "Rei/1.JPG"], ["Rei", "Rei/2.png"],
    ]  # fmt: skip
    assert all(Path(path).is_absolute() and Path(path).is_file() for path in found["path"])
    assert (found[["series", "set", "artwork", "split"]] == "").all(axis=None)
    assert found["monochrome"].isna().all() and found["box"].isna().all() and not left_out


def test_sets_may_be_nested(tmp_path):
    found, _ = read_dataset(put(tmp_path, "Shows/Eva/Rei/1.png", "Games/Aqua/1.png", "Solo/1.png"), 0.85)
    assert dict(zip(found["character"], found["set"])) == {"Rei": "Shows/Eva", "Aqua": "Games", "Solo": ""}


def test_files_that_are_not_pictures_of_a_character_are_reported_as_left_out(tmp_path):
    put(tmp_path, "Rei/1.png", "loose.png", ".hidden/1.png", "Rei/.thumb.png")
    (tmp_path / "Rei" / "notes.txt").write_text("hello")
    found, left_out = read_dataset(tmp_path, 0.85)
    assert found["file"].tolist() == ["Rei/1.png"]
    assert dict(left_out) == {"loose.png": "not in a character's folder", "Rei/notes.txt": "not an image file"}


def test_files_that_macos_writes_beside_pictures_are_left_out_and_counted(tmp_path):
    put(tmp_path, "Rei/1.png", "Rei/._1.png", "._Rei.png", "__MACOSX/Rei/._1.png", "Asuka/2.png")
    (tmp_path / "Asuka" / "._labels.csv").write_text("file,character")
    dataset = load_dataset(tmp_path, 0.85)
    assert dataset.table["file"].tolist() == ["Asuka/2.png", "Rei/1.png"]
    assert summary_lines(dataset.left_out) == ["left out 4: written by macOS beside a picture (such as ._Rei.png)"]
    assert dataset_files(tmp_path) == [tmp_path / "Asuka/2.png", tmp_path / "Rei/1.png"]


def test_names_with_spaces_and_any_letters_are_kept_and_their_normal_forms_are_one(tmp_path):
    for name in ("Häagen Dazs", "博麗 霊夢", "ガンダム"):
        for form in ("NFC", "NFD"):
            put(tmp_path, f"{unicodedata.normalize(form, name)}/{form}.png")
    found, _ = read_dataset(tmp_path, 0.85)
    assert found.groupby("character").size().to_dict() == {"Häagen Dazs": 2, "ガンダム": 2, "博麗 霊夢": 2}
    assert all(unicodedata.is_normalized("NFC", name) for name in found["character"])
    for path in found["path"]:
        assert open_picture(Path(path).read_bytes()).size == (8, 8)


def test_one_name_in_two_sets_is_two_characters(tmp_path):
    found, _ = read_dataset(put(tmp_path, "Love Live/Rin/1.png", "Sekai/Rin/1.png", "Sekai/Len/1.png"), 0.85)
    assert sorted(found["character"]) == ["Len", "Rin (Love Live)", "Rin (Sekai)"]


def understood(root: Path) -> tuple[dict[str, int], list[str]]:
    """Pictures by character, and notes."""
    dataset = load_dataset(root, 0.85)
    return dataset.table.groupby("character").size().to_dict(), dataset.notes


WHO = ("Rei", "Asuka", "Misato", "Ritsuko")
ALL = dict.fromkeys(WHO, 2)


@pytest.mark.parametrize(
    "first, second",
    [
        ("train/{}/1.png", "test/{}/1.png"),
        ("Training/{}/1.png", "Testing/{}/1.png"),
        ("train_set/{}/1.png", "holdout/{}/1.png"),
        ("train/{}/1.png", "Hold-out set/{}/1.png"),
        ("train/{}/1.png", "eval/{}/1.png"),
        ("data/train/{}/1.png", "data/test/{}/1.png"),
        ("{}/train/1.png", "{}/test/1.png"),
        ("faces_train/faces_train/{}/1.png", "faces_test/faces_test/{}/1.png"),
        ("train/train/{}/1.png", "test/test/{}/1.png"),
        ("train_set/{}/official/1.png", "test-set/{}/official/1.png"),
        ("train/{}/1.png", "val/{}/1.png"),
        ("train/{}/1.png", "valid/{}/1.png"),
        ("train/{}/1.png", "validation/{}/1.png"),
    ],
)
def test_folders_of_splits_are_honored(tmp_path, first, second):
    put(tmp_path, *(path.format(name) for name in WHO for path in (first, second)))
    counts, notes = understood(tmp_path)
    assert counts == ALL
    assert notes[0].endswith("8 pictures, 4 characters; splits: train 4, test 4" if "data/" not in first
                             else "8 pictures, 4 characters, 1 sets; splits: train 4, test 4")  # fmt: skip
    assert ("there is no test split: validation is used for it" in notes) == second.startswith("val")


def test_three_splits_and_sets_at_once(tmp_path):
    put(tmp_path, *(f"{split}/Eva/{name}/1.png" for name in WHO for split in ("train", "val", "test")))
    table = load_dataset(tmp_path, 0.85).table
    assert table.groupby(["set", "split"]).size().to_dict() == {
        ("Eva", "test"): 4, ("Eva", "train"): 4, ("Eva", "validation"): 4,
    }  # fmt: skip


def test_one_split_alone_is_no_split(tmp_path):
    put(tmp_path, *(f"train/{name}/{i}.png" for name in WHO for i in (1, 2)))
    counts, notes = understood(tmp_path)
    assert counts == ALL and "splits: drawn at random" in notes[0] and "all pictures are in train" in notes[1]


def test_a_character_may_be_called_test_and_pictures_without_a_character_are_not_one(tmp_path):
    counts, notes = understood(put(tmp_path / "one", "Test/1.png", "Rei/1.png"))
    assert counts == {"Rei": 1, "Test": 1} and any("warning: Test is read as a character" in note for note in notes)
    fails(put(tmp_path / "two", "train/1.png", "test/1.png"), "no labeled picture.*not in a character's folder")


def test_train_and_test_without_a_common_character_is_doubtful(tmp_path):
    assert any(
        "warning: no character has" in note for note in understood(put(tmp_path, "train/Rei/1.png", "test/Asuka/1.png"))[1]
    )


@pytest.mark.parametrize(
    "first, second",
    [
        ("{}/official/1.png", "{}/fanart/1.png"),
        ("{}/Fan Art/1.png", "{}/2021/1.png"),
        ("{}/fan_art/2020/1.png", "{}/official/2021/1.png"),
        ("{}/1.png", "{}/fanart/1.png"),
        ("{}/winter/1.png", "{}/summer/1.png"),
        ("{}/0/1.png", "{}/1/1.png"),
    ],
)
def test_folders_below_a_character_are_its_own(tmp_path, first, second):
    put(tmp_path, *(path.format(name) for name in WHO for path in (first, second)))
    counts, notes = understood(tmp_path)
    assert counts == ALL and any("4 characters" in note and "parts of these characters" in note for note in notes)
    guessed = "winter" in first or "/0/" in first  # told by repetition alone
    assert any(note.startswith("warning: ") for note in notes) == guessed


def test_a_part_of_one_character_and_sets_beside_it(tmp_path):
    put(tmp_path, "Rei/1.png", "Rei/swimsuit/1.png", "Games/Aqua/1.png", "Games/Megumin/1.png", "Games/misc/1.png")
    assert understood(tmp_path)[0] == {"Aqua": 1, "Megumin": 1, "Rei": 2, "misc": 1}


def test_sources_above_the_characters_are_neither_sets_nor_parts(tmp_path):
    counts, notes = understood(put(tmp_path, *(f"{source}/{name}/1.png" for source in ("official", "fanart") for name in WHO)))
    assert counts == ALL and any("fanart, official are read as sources" in note for note in notes)


def test_one_name_in_several_sets_is_doubtful(tmp_path):
    put(tmp_path, "Love Live/Rin/1.png", "Sekai/Rin/1.png", "Sekai/Len/1.png")
    assert any(note.startswith("warning: 1 names stand in several sets (Rin)") for note in understood(tmp_path)[1])


def test_loose_pictures_of_a_set_are_left_out_and_named(tmp_path):
    put(tmp_path, "Eva/cover.png", *(f"Eva/{name}/{i}.png" for name in WHO for i in (1, 2)))
    dataset = load_dataset(tmp_path, 0.85)
    assert dataset.left_out == [("Eva/cover.png", "not in a character's folder")] and len(dataset.table) == 8
    assert any("warning: pictures directly in Eva" in note for note in dataset.notes)


def test_a_folder_whose_name_is_no_name_is_left_out(tmp_path):
    put(tmp_path, "Rei/1.png", "\u200b/1.png", "x" * 230 + "/1.png")
    reasons = [reason for _, reason in read_dataset(tmp_path, 0.85)[1]]
    assert len(reasons) == 2 and "no visible character" in "".join(reasons) and "use at most 200" in "".join(reasons)


# A table


def test_a_table_is_read_with_all_its_columns(tmp_path):
    text = (
        "file,character,series,set,artwork,monochrome,split,original_name\n"
        'a b.png,"Yui, the first",K-On!,fan art,drawing 1,1,Train,\n'
        "sub/c.png,Mio,K-On!,,,0,val, 秋山　澪\n"
        "d.png,Mio,K-On!,,,,TEST,\n"
    )
    path = put_csv(tmp_path, text, "a b.png", "sub/c.png", "d.png")
    for given in (path, tmp_path):  # a folder with one such table is that table
        found, left_out = read_dataset(given, 0.85)
        assert found.drop(columns=["path", "box"]).to_numpy().tolist() == [
            ["d.png", "Mio", "K-On!", "", "", None, "test", ""],
            ["sub/c.png", "Mio", "K-On!", "", "", False, "validation", "秋山 澪"],
            ["a b.png", "Yui, the first", "K-On!", "fan art", "drawing 1", True, "train", ""],
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
    found, left_out = read_dataset(path, 0.85)
    assert found["file"].tolist() == ["1.png"]
    assert [file for file, why in left_out if "missing on disk" in why] == ["lost.png", ""]


def test_files_named_in_another_normal_form_are_found(tmp_path):
    for form in ("NFC", "NFD"):
        put(tmp_path, unicodedata.normalize(form, f"ガ{form}.png"))
    names = [unicodedata.normalize(form, "ガNFC.png") for form in ("NFC", "NFD")] + [unicodedata.normalize("NFD", "ガNFD.png")]
    path = put_csv(tmp_path, "file,character\n" + "".join(f"{name},c{i}\n" for i, name in enumerate(names)))
    found, left_out = read_dataset(path, 0.85)
    assert found["character"].tolist() == ["c0", "c1", "c2"] and not left_out


def test_one_name_in_two_series_is_two_characters(tmp_path):
    text = "file,character,series\n1.png,Rin,Love Live!\n2.png,Rin,Sekai\n3.png,Rin,Sekai\n4.png,Len,Sekai\n5.png,Rin,\n"
    found, _ = read_dataset(put_csv(tmp_path, text, *(f"{i}.png" for i in range(1, 6))), 0.85)
    assert found["character"].tolist() == ["Len", "Rin", "Rin (Love Live!)", "Rin (Sekai)", "Rin (Sekai)"]


def test_a_name_is_one_line(tmp_path):
    path = put_csv(tmp_path, 'file,character\n1.png," Ana\n  María "\n', "1.png")
    assert read_dataset(path, 0.85)[0]["character"].tolist() == ["Ana María"]


def test_a_row_given_twice_counts_once(tmp_path):
    path = put_csv(tmp_path, "file,character\n1.png,a\n1.png,a\n1.png,b\n", "1.png")
    assert read_dataset(path, 0.85)[0]["character"].tolist() == ["a", "b"]


@pytest.mark.parametrize(
    "text, says",
    [
        ("file,name\n1.png,a\n", "no column character"),
        ("1.png\n", "no column character and file"),
        ("", "can't be read as a table"),
        ("file,character,split\n1.png,a,other\n", "'other' of 1.png.*train, validation or test"),
        ("file,character\n", "contains no labeled picture"),
        ('file,character\n"1.png,a\n', "can't be read as a table"),
    ],
)
def test_a_wrong_table_says_what_is_wrong(tmp_path, text, says):
    fails(put_csv(tmp_path, text, "1.png"), says)


@pytest.mark.parametrize("data", [b"a text", b"\x89PNG\r\n\x1a\n\0"])
def test_a_single_picture_says_what_a_dataset_is(tmp_path, data):
    (tmp_path / "1.PNG").write_bytes(data)
    for read in (lambda path: read_dataset(path, 0.85), dataset_files):
        with pytest.raises(UserError, match="1.PNG is one file with the name of a picture: give a folder with one folder per"):
            read(tmp_path / "1.PNG")


def test_what_is_neither_a_folder_nor_a_file_says_so():
    fails(Path("/dev/null"), "/dev/null is neither a folder nor a file: give a folder")


def test_a_file_that_is_not_a_table_says_so(tmp_path):
    (tmp_path / "t.parquet").write_bytes(b"PAR1 not really")
    fails(tmp_path / "t.parquet", "can't be read as a table")


def test_a_damaged_table_beside_characters_folders_is_not_ignored(tmp_path):
    (put(tmp_path, "Rei/1.png") / "labels.parquet").write_bytes(b"PAR1 not really")
    fails(tmp_path, "labels.parquet can't be read as a table")


def test_several_tables_in_a_folder_ask_for_one(tmp_path):
    put_csv(tmp_path, "file,character\n1.png,a\n", "1.png")
    put_csv(tmp_path, "file,character\n1.png,b\n", name="other.csv")
    fails(tmp_path, "other.csv, table.csv.*give one")


def test_other_tables_beside_the_characters_folders_are_not_the_dataset(tmp_path):
    put_csv(tmp_path, "price,amount\n1,2\n", "Rei/1.png", name="shopping.csv")
    assert read_dataset(tmp_path, 0.85)[0]["character"].tolist() == ["Rei"]


# A table of a spreadsheet

PLAIN = "file{0}character\r\n1.png{0}ミク Ä\r\nsub/2.png{0}Rin\r\n"
RIN = [("sub/2.png", "Rin"), ("1.png", "ミク Ä")]


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.txt", "t.tab"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_table_is_read_whatever_its_delimiter_and_encoding(tmp_path, name, delimiter, encoding):
    (put(tmp_path, "1.png", "sub/2.png") / name).write_bytes(PLAIN.format(delimiter).encode(encoding))
    for given in (tmp_path, tmp_path / name):
        found, left_out = read_dataset(given, 0.85)
        assert list(zip(found["file"], found["character"])) == RIN and not left_out
        assert dataset_files(given) == [tmp_path / name, tmp_path / "1.png", tmp_path / "sub/2.png"]


@pytest.mark.parametrize("ending", ["\n", "\r", "\r\n"])
def test_the_lines_of_a_table_may_end_as_on_any_system(tmp_path, ending):
    """Excel for Mac saves "CSV (Macintosh)" with carriage returns alone."""
    put_csv(tmp_path, "", "1.png", "sub/2.png").write_bytes(PLAIN.format(",").replace("\r\n", ending).encode())
    dataset = load_dataset(tmp_path, 0.85)
    assert list(zip(dataset.table["file"], dataset.table["character"])) == RIN and not dataset.left_out
    assert any("3 lines, 2 rows below the header" in note for note in dataset.notes)


@pytest.mark.parametrize(
    "encoding, names",
    [
        ("cp932", ["初音ミク", "博麗霊夢", "ﾐｸ 桜", "ミクadventurer"]),
        ("cp932", ["桜"]),
        ("cp1252", ["Zoë", "Jeanne d’Arc", "Émile", "Señor Ñ"]),
        ("cp1252", ["räi"]),
    ],
)
def test_encodings_of_old_spreadsheets_are_told_from_their_letters(tmp_path, encoding, names):
    files = [f"{i}.png" for i in range(len(names))]
    text = "file;character\n" + "".join(f"{file};{name}\n" for file, name in zip(files, names))
    (put(tmp_path, *files) / "t.csv").write_bytes(text.encode(encoding))
    dataset = load_dataset(tmp_path, 0.85)
    assert set(dataset.table["character"]) == {normalize_name(name) for name in names} and encoding in dataset.notes[1]


@pytest.mark.parametrize("name", ["初音未来雷电", "Мария Ивановна"])
@pytest.mark.parametrize("encoding", ["gb18030", "koi8-r"])
def test_an_encoding_that_cannot_be_told_is_an_error_and_never_other_letters(tmp_path, name, encoding):
    data = f"file,character\n1.png,{name}\n".encode(encoding, "ignore")
    (put(tmp_path, "1.png") / "t.csv").write_bytes(data)
    if not data.isascii():
        fails(tmp_path, "encoding is not known")


@pytest.mark.parametrize("header", ["File,Character", " file , character", "FILE,character,", "file,Character,Box Unit"])
def test_case_and_spaces_of_columns_do_not_matter(tmp_path, header):
    found, _ = read_dataset(put_csv(tmp_path, f'{header}\n1.png, "Rin, the first"\n', "1.png"), 0.85)
    assert found["character"].tolist() == ["Rin, the first"]


def test_a_first_line_that_names_the_delimiter_is_not_the_header(tmp_path):
    assert len(read_dataset(put_csv(tmp_path, "sep=;\nfile;character\n1.png;Rin, Len\n", "1.png"), 0.85)[0]) == 1


@pytest.mark.parametrize(
    "rows, line",
    [
        ('1.png,a\n2.png,"b\n3.png,c\n', 3),
        ('1.png,"a\n2.png,b\n3.png,"c\n', 2),
        ('1.png,"a\n2.png,b"\n3.png,c\n', 2),
        ('1.png,"a" b\n2.png,b\n', 2),
        ('1.png,a\n"2.png,b\n3.png,c"\n', 3),
    ],
)
def test_a_quotation_mark_never_swallows_rows(tmp_path, rows, line):
    fails(put_csv(tmp_path, "file,character\n" + rows, "1.png", "2.png", "3.png"), rf"line {line}: a quotation mark")


@pytest.mark.parametrize(
    "file",
    ["C:\\me\\heads\\Miku\\001.png", "Miku\\001.png", "d:/Miku/001.png", "/gone/Miku/001.png", "\\\\nas\\x\\Miku\\001.png"],
)
def test_paths_of_windows_and_of_other_machines_are_found_by_their_end(tmp_path, file):
    path = put_csv(tmp_path, f"file,character\n{file},Miku\n{file}x,Miku\n", "Miku/001.png")
    found, left_out = read_dataset(path, 0.85)
    assert found["file"].tolist() == ["Miku/001.png"] and dataset_files(path)[1:] == [tmp_path / "Miku/001.png"]
    assert [reason for _, reason in left_out] == ["listed in the table but missing on disk"]


@pytest.mark.parametrize(
    "text, says",
    [
        ("file,character,Character\n1.png,a,b\n", "line 1 names the column character twice"),
        ("file,character\n\n1.png,Last, First\n", "line 3 has 3 cells, but the header has 2"),
        ("image,label\n1.png,a\n", "names pictures, but has no column character and file"),
        ("1.png,a\n2.png,b\n", "names pictures, but has no column character and file"),
        ("0001/1.png a\n0002/2.png b\n", "names pictures, but has no column character and file"),
        ("file character\n0001/1.png a\n0002/2.png b\n", "names pictures.*separated by commas or tabs"),
        ('file,character\n1.png,"a\n', "line 2: a quotation mark"),
    ],
)
def test_labels_beside_characters_folders_are_never_ignored(tmp_path, text, says):
    put_csv(tmp_path, text, "0001/1.png", "0002/2.png")
    fails(tmp_path, says)


def test_a_text_that_lists_or_credits_pictures_is_no_table_of_labels(tmp_path):
    put(tmp_path, "Rei/1.png", "Asuka/2.png")
    (tmp_path / "list.txt").write_text("Rei/1.png\nAsuka/my 2.png\n")
    (tmp_path / "credits.txt").write_text("Rei/1.png by Somebody Else\nAsuka/2.png by another artist\n")
    assert len(read_dataset(tmp_path, 0.85)[0]) == 2


def test_labels_in_a_spreadsheet_or_below_the_folder_are_not_ignored_either(tmp_path):
    for name, member in (("labels.xlsx", "xl/sharedStrings.xml"), ("labels.ods", "content.xml")):
        with zipfile.ZipFile(put(tmp_path / name, "Rei/1.png") / name, "w") as archive:
            archive.writestr(member, "<t>0001/1.png</t>")
        fails(tmp_path / name, "is a spreadsheet.*save it as CSV")
        fails(tmp_path / name / name, "is a spreadsheet.*save it as CSV|can't be read")
    put_csv(tmp_path / "below" / "train", "file,character\n1.png,a\n", "0001/1.png")
    fails(tmp_path / "below", "train/table.csv is a table of labels")


def test_every_line_of_a_table_is_read_or_left_out(tmp_path):
    rows = "1.png,a,\n1.png,a,\n\nlost.png,a,\n2.png\n,,\n2.png,b,\n" + f"2.png,{'x' * 300},\n"
    path = put_csv(tmp_path, "file,character,series\n" + rows, "1.png", "2.png")
    dataset = load_dataset(path, 0.85)
    assert len(dataset.table) + len(dataset.left_out) + 1 == len(path.read_text().splitlines()) == 9
    assert "9 lines, 6 rows below the header" in dataset.notes[1]


def test_many_ways_to_write_a_name_are_one_character(tmp_path):
    names = [
        "Pokémon Girl",
        unicodedata.normalize("NFD", "Pokémon Girl"),
        "Pokémon Girl ",
        "Pokémon  Girl",
        "Pokémon\u00a0Girl",
    ]
    files = [f"{i}.png" for i in range(len(names))]
    text = "file,character,series\n" + "".join(f"{f},{n},Pok\u200bémon\n" for f, n in zip(files, names))
    found, _ = read_dataset(put_csv(tmp_path, text, *files), 0.85)
    assert set(zip(found["character"], found["series"])) == {("Pokémon Girl", "Pokémon")}


# Boxes in a table

BOXED = "file,character,left,top,right,bottom,box_unit,box_kind\n"


def test_a_row_says_what_its_box_is_or_has_none(tmp_path):
    rows = "1.png,a,1,2,5,6,,\n1.png,b,0.5,0.5,1,1,Fraction,face\n1.png,c,0,0,1,1,pixels,head\n1.png,d,,,,,,\n"
    found, left_out = read_dataset(put_csv(tmp_path, BOXED + rows, "1.png"), 0.85)
    assert found["box"].tolist() == [
        LabeledBox(1, 2, 5, 6), LabeledBox(0.5, 0.5, 1, 1, "fraction", "face"), LabeledBox(0, 0, 1, 1), None,
    ]  # fmt: skip
    assert not left_out


def test_numbers_of_a_parquet_table_are_boxes_too(tmp_path):
    put(tmp_path, "1.png", "2.png")
    frame = pd.DataFrame({"file": ["1.png", "2.png"], "character": "a", "left": [1, None], "top": [2, None],
                          "right": [5.5, None], "bottom": [6, None]})  # fmt: skip
    frame.to_parquet(tmp_path / "t.parquet")
    assert read_dataset(tmp_path / "t.parquet", 0.85)[0]["box"].tolist() == [LabeledBox(1, 2, 5.5, 6), None]


def test_several_heads_of_one_picture_are_several_rows(tmp_path):
    rows = "1.png,a,1,1,4,4,,\n1.png,a,4,4,8,8,,\n1.png,a,4,4,8,8,,\n"
    assert len(read_dataset(put_csv(tmp_path, BOXED + rows, "1.png"), 0.85)[0]) == 2


def test_places_in_the_illustration_are_not_applied_to_a_head_that_was_cut_from_it(tmp_path):
    text = "file,illustration,character,left,top,right,bottom\n1.png,whole.png,a,100.5,20,400,320\n"
    found, left_out = read_dataset(put_csv(tmp_path, text, "1.png"), 0.85)
    assert found["box"].tolist() == [None] and not left_out


@pytest.mark.parametrize(
    "text, says",
    [
        ("file,character,left,top,right\n1.png,a,1,2,5\n", "has left, top, right but not all of left, top, right, bottom"),
        (
            BOXED + "1.png,a,1,2,5,6,,\n1.png,b,0.1,0.2,0.5,1,,\n",
            r"row 2 \(1.png\): box 0.1,0.2,0.5,1 seems to be in fractions",
        ),
        (BOXED + "1.png,a,1,2,5,,,\n", r"row 1 \(1.png\): 1,2,5, is not left,top,right,bottom as numbers"),
        (BOXED + "1.png,a,1,2,5,inf,,\n", "is not left,top,right,bottom as numbers"),
        (BOXED + "1.png,a,1,2,5,six,,\n", "is not left,top,right,bottom as numbers"),
        (BOXED + "1.png,a,1,2,5,6,percent,\n", "box_unit 'percent' is unknown: use pixels or fraction"),
        (BOXED + "1.png,a,1,2,5,6,,body\n", "box_kind 'body' is unknown: use head or face"),
    ],
)
def test_a_wrong_box_is_named_with_its_row(tmp_path, text, says):
    fails(put_csv(tmp_path, text, "1.png"), says)


# The Danbooru 2018 dataset


def put_danbooru(root: Path, faces: str, tags: str = "rei\t7\nasuka\t8\n", **splits: str) -> Path:
    put(root, "0001/1001.jpg", "0001/1002.jpg", "0002/1003.jpg")
    (root / "faces.tsv").write_text(faces)
    (root / "tagIds.tsv").write_text(tags)
    for split, text in splits.items():
        (root / f"{split}Split.tsv").write_text(text)
    return root


FACES = (
    "0001\\1001.jpg\t7\t1,2,5,6,0.99\n"  # the published file has Windows paths
    "1002.jpg\t7\t2,4,6,8,0.9\n"
    "0002/1003.jpg\t8\t0,0,4,4,0.86\n"
    "0002/1003.jpg\t7\t4,4,8,8,0.95\n"
    "0002/1003.jpg\t8\t0,0,8,8,0.84\n"
)


@pytest.mark.parametrize("tags", ["rei\t7\nasuka\t8\n", "7\trei\n8\tasuka\n"])
def test_the_danbooru_dataset_gives_one_row_per_head(tmp_path, tags):
    for given in (put_danbooru(tmp_path, FACES, tags), tmp_path / "faces.tsv"):
        found, left_out = read_dataset(given, 0.85)
        assert found[["character", "file", "artwork", "box"]].to_numpy().tolist() == [
            ["asuka", "0002/1003.jpg", "1003", LabeledBox(0, 0, 4, 4)],
            ["rei", "0001/1001.jpg", "1001", LabeledBox(1, 2, 5, 6)],
            ["rei", "0002/1003.jpg", "1003", LabeledBox(4, 4, 8, 8)],
            ["rei", "1002.jpg", "1002", LabeledBox(2, 4, 6, 8)],
        ]
        assert all(Path(path).is_file() for path in found["path"])
        assert left_out == [("0002/1003.jpg", "confidence below 0.85")]


def test_a_lower_confidence_takes_more_boxes(tmp_path):
    put_danbooru(tmp_path, FACES)
    assert [len(read_dataset(tmp_path, floor)[0]) for floor in (0.0, 0.84, 0.9, 0.95)] == [5, 5, 3, 2]


def test_boxes_of_the_danbooru_dataset_are_heads_in_pixels(tmp_path):
    found, _ = read_dataset(put_danbooru(tmp_path, FACES), 0.85)
    assert {(box.unit, box.kind) for box in found["box"]} == {("pixels", "head")}
    fails(
        put_danbooru(tmp_path, FACES + "1002.jpg\t7\t0.25,0.5,0.75,1.0,0.9\n"), "of 1002.jpg .entry 6. seems to be in fractions"
    )


def test_splits_are_read_by_picture_id(tmp_path):
    put_danbooru(tmp_path, FACES, train="1001\n", val="1002\n", test="1003\trest is ignored\n")
    found, _ = read_dataset(tmp_path, 0.85)
    assert dict(zip(found["artwork"], found["split"])) == {"1001": "train", "1002": "validation", "1003": "test"}


def test_unknown_tags_and_missing_pictures_are_named(tmp_path):
    faces = FACES + "0001/1001.jpg\t99\t1,1,5,5,0.9\n0001/4004.jpg\t7\t1,1,5,5,0.9\n"
    _, left_out = read_dataset(put_danbooru(tmp_path, faces), 0.85)
    assert ("0001/1001.jpg", "tag 99 is not in tagIds.tsv") in left_out
    assert ("0001/4004.jpg", "listed in faces.tsv but missing on disk") in left_out


@pytest.mark.parametrize(
    "faces, says",
    [
        ("0001/1001.jpg\t7\n", "faces.tsv line 1 has 2 tab-separated columns, but 3"),
        (FACES + "0001/1001.jpg 7 1,2,3,4,0.9\n", "faces.tsv line 6 has 1 tab-separated columns"),
        ("0001/1001.jpg\t7\t1,2,5,6\n", "left,top,right,bottom,confidence"),
        ("0001/1001.jpg\t7\ta,b,c,d,e\n", "left,top,right,bottom,confidence"),
        ("", "no labeled picture"),
    ],
)
def test_a_malformed_line_is_named(tmp_path, faces, says):
    fails(put_danbooru(tmp_path, faces), says)


def test_the_danbooru_dataset_needs_its_tags(tmp_path):
    (put_danbooru(tmp_path, FACES) / "tagIds.tsv").unlink()
    fails(tmp_path, "tagIds.tsv is missing")


def test_tables_in_another_encoding_are_a_user_error(tmp_path):
    put_danbooru(tmp_path, FACES)
    (tmp_path / "tagIds.tsv").write_bytes("räi\t7\n".encode("latin-1"))
    fails(tmp_path, "tagIds.tsv.*UTF-8")
    (tmp_path / "t.csv").write_bytes("file,character\n1.png,初音未来雷电\n".encode("gb18030"))
    fails(tmp_path / "t.csv", "encoding is not known.*UTF-8")


# Nothing there


def test_a_missing_dataset_is_a_user_error(tmp_path):
    fails(tmp_path / "nothing", "does not exist")
    with pytest.raises(UserError, match="does not exist"):
        dataset_files(tmp_path / "nothing")


def test_a_folder_without_characters_says_what_it_needs(tmp_path):
    fails(tmp_path, "one folder per character, or a table")
    fails(put(tmp_path, "1.png", "2.png"), "one folder per character, or a table")


# What every layout does

EXAMPLES = {
    folders: lambda root: put(root, "Set/Rei/1.png", "Asuka/1.png"),
    table: lambda root: put_csv(root, "file,character\nRei/1.png,Rei\n1.png,Asuka\nlost.png,Asuka\n", "Rei/1.png", "1.png"),
    danbooru: lambda root: put_danbooru(root, FACES),
}
# in shards (test_shards.py), a picture is a part of a file
OF_FILES = [layout for layout in LAYOUTS if layout is not shards]
each_layout = pytest.mark.parametrize("layout", OF_FILES, ids=lambda layout: layout.__name__.split(".")[-1])


@each_layout
def test_an_example_is_recognized_as_its_layout(tmp_path, layout):
    path = EXAMPLES[layout](tmp_path)
    assert next(other for other in LAYOUTS if other.detect(path)) is layout


@each_layout
def test_a_layout_gives_existing_pictures_of_named_characters(tmp_path, layout):
    path = EXAMPLES[layout](tmp_path)
    found, left_out = layout.read(path)
    assert found
    for one in found:
        assert Path(one.path) == Path(one.path).resolve() and Path(one.path).is_file()
        assert one.character and one.file and "\\" not in one.file and unicodedata.is_normalized("NFC", one.character)
    assert all("\n" not in reason for _, reason in left_out)
    assert layout.read(path) == (found, left_out)


@each_layout
def test_the_files_of_a_layout_are_all_that_reading_depends_on(tmp_path, layout):
    path = EXAMPLES[layout](tmp_path)
    found, _ = layout.read(path)
    files = layout.files(path)
    assert len(files) == len(set(files)) and all(file.is_file() for file in files)
    assert {Path(one.path) for one in found} <= set(files)
    for other in tmp_path.rglob("*"):
        if other.is_file() and other not in files:
            other.unlink()
    assert layout.read(path)[0] == found


@each_layout
def test_files_are_listed_without_opening_a_picture(tmp_path, layout):
    path = EXAMPLES[layout](tmp_path)
    before = layout.files(path)
    for one in layout.read(path)[0]:
        Path(one.path).write_bytes(b"not a picture")
    assert layout.files(path) == before == dataset_files(path)


@each_layout
def test_a_missing_picture_is_not_a_file_of_the_dataset(tmp_path, layout):
    path = EXAMPLES[layout](tmp_path)
    before, lost = layout.files(path), Path(layout.read(path)[0][0].path)
    lost.unlink()
    assert layout.files(path) == [file for file in before if file != lost]


def test_labels_do_not_matter_for_the_files_of_a_table(tmp_path):
    path = put_csv(tmp_path, "file,character,split\n1.png,a,holdout\n2.png,,\n", "1.png", "2.png")
    assert dataset_files(path) == dataset_files(tmp_path) == [path, tmp_path / "1.png"]


def test_links_are_followed_and_one_picture_under_two_names_is_one(tmp_path):
    put(tmp_path / "real", "1.png")
    (tmp_path / "linked").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "2.png").symlink_to("1.png")
    path = put_csv(tmp_path, "file,character\nreal/1.png,a\nlinked/1.png,a\nlinked/../real/2.png,a\n")
    assert read_dataset(path, 0.85)[0]["path"].tolist() == [str(tmp_path / "real/1.png")]
    assert dataset_files(path) == [path, tmp_path / "real/1.png"]


# The files behind a dataset


def test_the_files_of_a_dataset_are_all_that_reading_it_may_use(tmp_path):
    put(tmp_path / "folders", "Rei/1.png", "Set/Asuka/1.png", ".git/1.png")
    assert dataset_files(tmp_path / "folders") == [tmp_path / "folders" / f for f in ("Rei/1.png", "Set/Asuka/1.png")]
    found = put_csv(tmp_path / "table", "file,character\n1.png,a\n../folders/Rei/1.png,b\n", "1.png", "unused.png")
    assert dataset_files(found) == [found, *sorted([tmp_path / "table/1.png", tmp_path / "folders/Rei/1.png"])]
    put_danbooru(tmp_path / "danbooru", FACES, test="1003\n")
    names = {path.name for path in dataset_files(tmp_path / "danbooru" / "faces.tsv")}
    assert names == {"faces.tsv", "tagIds.tsv", "testSplit.tsv", "1001.jpg", "1002.jpg", "1003.jpg"}


def test_the_real_pictures_are_read_by_their_table(real_characters):
    found, left_out = read_dataset(real_characters, 0.85)
    assert not left_out and found["set"].nunique() == 39
    assert len(found) == 24_471 and found["character"].nunique() == 3_400
    assert len(dataset_files(real_characters)) == 1 + 24_471
