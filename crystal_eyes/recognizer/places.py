"""Where the released bundle lies, and where the characters that a user enrolls into it are kept."""

import os
from pathlib import Path

RELEASED = "released"  # in place of a folder: the bundle that comes with Crystal Eyes
LISTING = "bundle.json"
PACKAGE = Path(__file__).parents[1]
# a wheel has the released bundle inside the package, a checkout (also an editable installation) beside it
FOLDERS = (PACKAGE / "released", PACKAGE.parent / "models" / "recognizer")


def released_folder() -> Path | None:
    """The released bundle as it was installed or checked out, None if this installation has none."""
    return next((folder for folder in FOLDERS if (folder / LISTING).is_file()), None)


def user_folder() -> Path | None:
    """Where the enrolled characters are kept, whether it exists or not; None if the user has no home.

    Outside the package, whose upgrade replaces everything in it: $XDG_DATA_HOME or ~/.local/share.
    """
    given = os.environ.get("XDG_DATA_HOME", "")
    try:
        home = Path(given) if os.path.isabs(given) else Path.home() / ".local" / "share"
    except RuntimeError:
        return None
    return home / "crystal-eyes" / "enrolled"


def has_listing(folder: Path | None) -> bool:
    """Whether a bundle lies in a folder; one that may not be read counts as none."""
    try:
        return folder is not None and (folder / LISTING).is_file()
    except OSError:
        return False
