"""Errors that a user can fix."""

import errno
import re


class UserError(Exception):
    """Something the user can fix. The text is one line that names the thing and what is wrong with it."""


def one_line(error: BaseException) -> str | None:
    """The one line that describes an expected error, or None if it is a bug and needs its traceback."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError):
        # numpy reports a partial write without an error number
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or re.fullmatch(
            r"\d+ requested and \d+ written", str(error)
        ):
            where = f"while writing {error.filename}" if error.filename else "on the disk"
            return f"no space left {where}: free some space and run the same command again to resume"
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return f"no permission to access {error.filename or 'the disk'}: change its permissions or choose another location"
    return None
