import errno
import os

import pytest

from crystal_eyes.errors import UserError, one_line, said


def test_what_an_error_says_is_one_line_without_number_and_file():
    assert said(FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "/x")) == "No such file or directory"
    assert said(OSError("cut off")) == "cut off" and said(ValueError("\n first\nsecond")) == "first"
    assert said(UserError("x is missing: give it")) == "x is missing: give it"
    assert said(TimeoutError()) == "TimeoutError"


def test_a_users_error_is_its_own_line():
    assert one_line(UserError("dataset x does not exist: give one")) == "dataset x does not exist: give one"


def test_a_real_full_disk_names_the_file_and_that_nothing_is_lost():
    with pytest.raises(OSError) as caught, open("/dev/full", "wb", buffering=0) as file:
        file.write(b"x")
    assert one_line(caught.value).startswith("no space left on the disk")
    named = OSError(errno.ENOSPC, "No space left on device", "/tmp/pictures.bin")
    assert one_line(named).startswith("no space left while writing /tmp/pictures.bin") and "to resume" in one_line(named)


@pytest.mark.parametrize(
    "error",
    [
        OSError("24 requested and 0 written"),
        RuntimeError("(sqlite3.OperationalError) database or disk is full\n[SQL: INSERT INTO metrics ...]"),
        ValueError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_libraries_that_name_a_full_disk_in_their_own_words_are_understood(error):
    assert one_line(error) == "no space left on the disk: free some space and run the same command again to resume"


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_a_missing_permission_names_the_place(number):
    assert one_line(OSError(number, os.strerror(number), "/root/x")).startswith("no permission to access /root/x")


def test_a_path_that_can_not_be_used_is_named(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    for path in (tmp_path / "file" / "folder", tmp_path / "loop" / "folder", tmp_path / "file", tmp_path / ("x" * 300)):
        with pytest.raises(OSError) as caught:
            path.mkdir()
        assert one_line(caught.value).startswith(f"{path} can't be used (") and "choose another" in one_line(caught.value)
    with pytest.raises(IsADirectoryError) as caught:
        tmp_path.write_text("x")
    assert one_line(caught.value).startswith(f"{tmp_path} can't be used (Is a directory): ")


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), FileNotFoundError(2, "No such file", "x"), MemoryError()])
def test_an_unexpected_error_keeps_its_traceback(error):
    assert one_line(error) is None
