"""Enrolls a named group into the user's bundle, which from then on names her."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from crystal_eyes.collection.groups import Group
from crystal_eyes.collection.opening import read_head
from crystal_eyes.errors import UserError
from crystal_eyes.images import PictureError
from crystal_eyes.recognizer import enrollment
from crystal_eyes.recognizer.changeable import changeable
from crystal_eyes.recognizer.characters import Known, named, only
from crystal_eyes.recognizer.text import enrolled_lines

ENROLLED = 20  # heads of a named group that are enrolled, from the most to the least typical


def enroll_group(found: Group, known: Sequence[Known], bundle: str) -> list[str]:
    """What was done, or why nothing was, a line each: the name is kept in the collection in any case.

    known: the characters of the bundle; bundle: as Recognizer.load takes it.
    """
    lines: list[str] = []
    step = max(1, -(-len(found.heads) // ENROLLED))
    try:
        own = only(named(list(known), found.name, found.series or None), found.name)
        if own and own.folder is None:
            return [f"the bundle knows {own} from its training: nothing needs to be enrolled"]
        with tempfile.TemporaryDirectory() as folder:
            heads = []
            for row in range(0, len(found.heads), step):
                try:
                    head = read_head(found.places[row], found.boxes[row], bool(found.whole_picture[row]))
                except (PictureError, OSError) as error:
                    lines.append(f"left out {found.places[row]}: {getattr(error, 'strerror', None) or error}")
                    continue
                heads.append(Path(folder, f"head {found.heads[row]}.png"))
                Image.fromarray(head).save(heads[-1])
            with changeable(bundle) as changed:
                result = enrollment.enroll(changed, found.name, found.series or None, heads, head=True)
                return [*lines, *enrolled_lines(result, str(changed))]
    except UserError as error:
        return [*lines, f"the name is kept in the collection, but nothing was enrolled: {error}"]
