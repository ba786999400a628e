import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crystal_eyes.errors import UserError
from crystal_eyes.names import MAX_LENGTH, normalize_name, normalize_text


@pytest.mark.parametrize(
    "text",
    [
        "Pokémon Girl",
        unicodedata.normalize("NFD", "Pokémon Girl"),
        " Pokémon Girl ",
        "Pokémon  Girl",
        "Pokémon\u00a0Girl",
        "Pokémon\u3000Girl",
        "Pokémon\u200b Girl\ufeff",
        "Poké\u00admon\nGirl\r\n",
        "Poké\u2060mon\tGirl",
        "\u202aPokémon\u2028Girl\u202c",
        "Pok\u200dé\u200cmon Girl",
        "Pokémon\u0000 Girl\u0007",
        "Ｐｏｋémon Ｇｉｒｌ",
        "Pokémon\u3164Girl\u2800",
    ],
)
def test_many_ways_to_write_a_name_are_one_name(text):
    assert normalize_name(text) == "Pokémon Girl"


@pytest.mark.parametrize(
    "text, expected",
    [
        ("two\nlines", "two lines"),
        ("ﾊﾞﾆｰ", "バニー"),
        ("\x1b[31mRed", "[31mRed"),
        ("Ｎｏ．７", "No．7"),
    ],
)
def test_lines_controls_and_widths(text, expected):
    assert normalize_name(text) == expected


@pytest.mark.parametrize(
    "name", ["Ranma ½", "博麗 霊夢", "けいおん！", "K-On!", "R2-D2", "ⅩⅢ", "می\u200cخواهم", "क्\u200dष", "👩🏽\u200d🔬", "İ"]
)
def test_names_that_are_right_stay_as_they_are(name):
    assert normalize_name(name) == name


def test_upper_and_lower_case_are_different_names():
    assert normalize_name("rin") != normalize_name("Rin")


@pytest.mark.parametrize("text", ["", " ", "\n", "\u200b\u00ad", "\u3164", "\u200d", "\x00"])
def test_a_name_without_a_visible_character_is_a_user_error(text):
    with pytest.raises(UserError, match="empty|no visible character") as caught:
        normalize_name(text)
    assert str(caught.value).isprintable()
    assert normalize_text(text) == ""


@pytest.mark.parametrize("text", ["x" * (MAX_LENGTH + 1), "bad\udce9byte", "\ud83d", "x\n" * MAX_LENGTH])
def test_a_name_that_cannot_be_used_is_one_short_line(text):
    with pytest.raises(UserError, match="characters: use at most|not valid Unicode") as caught:
        normalize_name(text)
    message = str(caught.value)
    assert message.isprintable() and len(message) < 400 and message.encode()


def test_a_name_of_the_greatest_length_is_one():
    assert normalize_name(" " * 500 + "名" * MAX_LENGTH) == "名" * MAX_LENGTH


@given(st.text(max_size=30) | st.text("e\u0301\u200b\u200d ｶﾞ\u3099a\n\u0928\u094d", max_size=12))
def test_a_normalized_name_is_one_printable_line_and_normalizes_to_itself(text):
    try:
        name = normalize_text(text)
    except UserError:
        return
    assert normalize_text(name) == name and unicodedata.is_normalized("NFC", name) and name == name.strip()
    assert len(name.splitlines()) <= 1 and not any(unicodedata.category(letter) == "Cc" for letter in name)


def test_names_need_neither_numpy_nor_pandas():
    code = "import sys, crystal_eyes.names; print(sorted({'numpy', 'pandas'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
