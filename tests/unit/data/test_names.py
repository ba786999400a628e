import unicodedata

import pandas as pd
import pytest

from crystal_eyes.data.names import disambiguate, find_file, normalize


@pytest.mark.parametrize(
    "value, expected",
    [
        (" Ana\n  María ", "Ana María"),
        (unicodedata.normalize("NFD", "ガンダム"), "ガンダム"),
        (7, "7"),
        (None, ""),
        (float("nan"), ""),
    ],
)
def test_a_label_is_one_line_in_composed_form(value, expected):
    assert normalize(value) == expected


@pytest.mark.parametrize("stored", ["NFC", "NFD"])
@pytest.mark.parametrize("named", ["NFC", "NFD"])
def test_a_file_is_found_in_either_form(tmp_path, stored, named):
    path = tmp_path / unicodedata.normalize(stored, "ガ.png")
    path.write_bytes(b"")
    assert find_file(tmp_path, unicodedata.normalize(named, "ガ.png")) == str(path)


@pytest.mark.parametrize("name", ["", "folder", "lost.png"])
def test_what_is_not_a_file_is_not_found(tmp_path, name):
    (tmp_path / "folder").mkdir()
    assert find_file(tmp_path, name) is None


def test_one_name_in_two_series_becomes_two_and_others_stay():
    table = pd.DataFrame(
        [("Rin", "A", ""), ("Rin", "B", ""), ("Rin", "", ""), ("Len", "A", ""), ("Aya", "", "x"), ("Aya", "", "y")],
        columns=["character", "series", "set"],
    )
    found = disambiguate(table["character"], table["series"], table["set"])
    assert found.tolist() == ["Rin (A)", "Rin (B)", "Rin", "Len", "Aya (x)", "Aya (y)"]
