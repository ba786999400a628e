"""Digests follow contents, not the names of places."""

import shutil

import pytest

from pipeline.cache.digests import digest_dataset, digest_path
from tests.runs import draw_heads


@pytest.fixture
def heads(tmp_path):
    return draw_heads(tmp_path / "heads", characters=2, pictures=2)


def test_a_copy_and_a_link_are_the_same_dataset(heads, tmp_path):
    copy = shutil.copytree(heads, tmp_path / "copy")
    link = tmp_path / "link"
    link.symlink_to(heads)
    assert digest_dataset(heads) == digest_dataset(copy) == digest_dataset(link)


def test_a_changed_renamed_added_or_lost_picture_is_another_dataset(heads):
    digests = [digest_dataset(heads)]
    picture = heads / "Character 0" / "0.png"
    content = picture.read_bytes()
    picture.write_bytes(content + b"x")
    digests.append(digest_dataset(heads))
    picture.rename(picture.with_name("2.png"))
    digests.append(digest_dataset(heads))
    picture.write_bytes(content)
    digests.append(digest_dataset(heads))
    picture.with_name("2.png").unlink()
    picture.with_name("1.png").unlink()
    digests.append(digest_dataset(heads))
    assert len(set(digests)) == len(digests)


def test_pictures_that_a_table_names_elsewhere_count(heads, tmp_path):
    folder = tmp_path / "table"
    folder.mkdir()
    (folder / "heads.csv").write_text("file,character\n../heads/Character 0/0.png,A\n../heads/Character 1/0.png,B\n")
    before = digest_dataset(folder), digest_dataset(folder / "heads.csv")
    picture = heads / "Character 1" / "0.png"
    picture.write_bytes(picture.read_bytes() + b"x")
    after = digest_dataset(folder), digest_dataset(folder / "heads.csv")
    assert before[0] != after[0] and before[1] != after[1]


def test_what_a_table_does_not_name_does_not_count_when_the_table_is_given(heads):
    table = heads / "heads.csv"
    table.write_text("file,character\nCharacter 0/0.png,A\n")
    before = digest_dataset(table)
    (heads / "Character 1" / "0.png").unlink()
    assert digest_dataset(table) == before


def test_the_order_in_which_a_disk_lists_files_is_nothing(tmp_path):
    for folder, names in (("a", "xyz"), ("b", "zyx")):
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / name).write_text(name)
    assert digest_path(tmp_path / "a") == digest_path(tmp_path / "b")
