"""Errors that a user can mend."""

import errno


class UserError(Exception):
    """Something the user can mend. The text is one line: it names the thing, then the remedy."""


def one_line(error: BaseException) -> str | None:
    """The one line that a person needs of an expected error, or None where a traceback is owed (a fault of ours)."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError):
        where = error.filename or "the disk"
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return f"no space left while writing {where}: free some and run the same command again, it goes on from there"
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return f"no permission for {where}: change its permissions or choose another place"
    return None
