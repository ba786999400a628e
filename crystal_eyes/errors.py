"""Errors that a user can fix."""

import errno
import re


class UserError(Exception):
    """Something the user can fix. The text is one line that names the thing and what is wrong with it."""


def said(error: BaseException) -> str:
    """What an error says, in one line: the system's words without number and file, else its first line, else its kind."""
    lines = [line.strip() for line in str(getattr(error, "strerror", None) or error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)  # the last one: a disk that is mounted read-only
# a file in the place of a folder or the other way round, a loop of links, a name that is too long: what the user has given
UNUSABLE_PATH = (errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG)
FULL = ("no space left on device", "database or disk is full", "os error 28")  # how SQLite, safetensors and others say it


def one_line(error: BaseException) -> str | None:
    """The one line that describes an expected error, or None if it is a bug and needs its traceback."""
    if isinstance(error, UserError):
        return str(error)
    if _disk_is_full(error):
        file = getattr(error, "filename", None)
        where = f"while writing {file}" if file else "on the disk"
        return f"no space left {where}: free some space and run the same command again to resume"
    if isinstance(error, OSError) and error.errno in DENIED:
        return f"no permission to access {error.filename or 'the disk'}: change its permissions or choose another location"
    if isinstance(error, OSError) and error.errno in UNUSABLE_PATH and error.filename:
        return f"{error.filename} can't be used ({said(error)}): choose another location"
    return None


def _disk_is_full(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return True
    text = str(error)
    # numpy reports a partial write without an error number
    return any(words in text.lower() for words in FULL) or re.fullmatch(r"\d+ requested and \d+ written", text) is not None
