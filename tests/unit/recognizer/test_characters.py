"""Whom a bundle knows, and how they are searched for."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crystal_eyes.errors import UserError
from crystal_eyes.recognizer.bundle import read_bundle
from crystal_eyes.recognizer.characters import Known, characters_of, search
from tests.bundles import ORIGINAL, add_character

MIKU = Known("Hatsune Miku", "Vocaloid", None, "初音ミク", 12)
RINS = [Known("Rin (Idol Tower)", "Idol Tower", None, "リン", 4), Known("Rin (Vocaloid)", "Vocaloid", None, "", 5)]
ALL = [MIKU, *RINS, Known("Übel", ""), Known("ＡＢ", "Fate/Grand Order")]


def names(found: list[Known]) -> list[str]:
    return [one.character for one in found]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ([], ["Übel", "ＡＢ", "Rin (Idol Tower)", "Hatsune Miku", "Rin (Vocaloid)"]),
        (["miku"], ["Hatsune Miku"]),
        (["MIKU", "vocaloid"], ["Hatsune Miku"]),
        (["miku hatsune"], ["Hatsune Miku"]),
        (["初音"], ["Hatsune Miku"]),
        (["ﾐｸ"], ["Hatsune Miku"]),  # half-width
        (["übel"], ["Übel"]),
        (["ab"], ["ＡＢ"]),
        (["vocaloid"], ["Hatsune Miku", "Rin (Vocaloid)"]),
        (["rin", "miku"], []),
    ],
)
def test_all_words_occur_in_names_of_any_script_case_and_width(words, found):
    assert names(search(ALL, words)) == found


def test_a_series_is_named_as_a_whole_and_a_name_of_two_series_is_shown_with_its_own():
    assert [str(one) for one in search(ALL, ["rin"])] == ["Rin (Idol Tower)", "Rin (Vocaloid)"]
    assert names(search(ALL, [], "ｖｏｃａｌｏｉｄ")) == ["Hatsune Miku", "Rin (Vocaloid)"]
    assert search(ALL, ["nobody"], "Vocaloid") == []


@pytest.mark.parametrize(
    ("given", "says"),
    [("tower", "from the series tower; the nearest are Idol Tower"), ("Vocalod", "the nearest are Vocaloid"),
     ("zzzzzzzz", "the nearest are "), ("", "the nearest are ")],
)  # fmt: skip
def test_an_unknown_series_is_refused_with_the_nearest_ones(given, says):
    with pytest.raises(UserError) as caught:
        search(ALL, [], given)
    assert says in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(UserError, match="none of them has a series"):
        search([Known("A", "")], [], given)


def test_a_bundle_tells_names_and_heads_of_trained_and_enrolled_characters(bundle_folder, tmp_path):
    folder = Path(shutil.copytree(bundle_folder, tmp_path / "bundle"))
    add_character(folder, "Nene", "Isle", np.eye(2, 16, dtype=np.float32), [Image.new("RGB", (9, 9))] * 2)
    known = characters_of(read_bundle(folder))
    assert known[1] == Known("Character 1", "Series 1", None, ORIGINAL[1], 4)
    assert (known[8].character, known[8].heads, known[8].original_name) == ("Nene", 2, "") and known[8].folder
    # of format 2
    (folder / "characters.json").write_text('[["A", "S"], ["B", ""]]')
    assert characters_of(type(read_bundle(bundle_folder))(folder, {"files": {}})) == [Known("A", "S"), Known("B", "")]
