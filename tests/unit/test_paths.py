"""Files that are replaced in one step."""

import pytest

from crystal_eyes.paths import replaced


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path):
    file = tmp_path / "a.txt"
    for text in ("first", "second"):
        with replaced(file) as part:
            part.write_text(text)
        assert file.read_text() == text
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error), replaced(file) as part:
            part.write_text("half")
            raise error
    assert file.read_text() == "second" and list(tmp_path.iterdir()) == [file]


def test_an_error_names_the_file_that_was_to_be_written(tmp_path):
    file = tmp_path / "nowhere" / "a.txt"
    with pytest.raises(FileNotFoundError) as caught, replaced(file) as part:
        part.write_text("x")
    assert caught.value.filename == str(file)
