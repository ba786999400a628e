"""Enrolls a named group into the user's bundle, which from then on names her."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from crystal_eyes.collection.groups import Group
from crystal_eyes.collection.opening import read_head
from crystal_eyes.errors import UserError, said
from crystal_eyes.images import PictureError
from crystal_eyes.recognizer import enrollment
from crystal_eyes.recognizer.changeable import changeable
from crystal_eyes.recognizer.characters import Known, named, only
from crystal_eyes.recognizer.enrollment import HeadCrop
from crystal_eyes.recognizer.text import enrolled_lines

ENROLLED = 20  # heads of a named group that are enrolled, from the most to the least typical


def enroll_group(found: Group, known: Sequence[Known], bundle: str) -> list[str]:
    """What was done, or why nothing was, in the last line, and remarks before it: the name is kept in the collection anyway.

    known: the characters of the bundle; bundle: as Recognizer.load takes it.
    """
    lines: list[str] = []
    step = max(1, -(-len(found.heads) // ENROLLED))
    try:
        own = only(named(list(known), found.name, found.series or None), found.name)
        if own and own.folder is None:
            return [f"the bundle knows {own} from its training: nothing needs to be enrolled"]
        heads = []
        for row in range(0, len(found.heads), step):
            try:
                head = read_head(found.places[row], found.boxes[row], bool(found.whole_picture[row]))
            except (PictureError, OSError) as error:
                lines.append(f"left out {found.places[row]}: {said(error)}")
                continue
            heads.append(HeadCrop(str(found.places[row]), _png(head)))
        with changeable(bundle) as changed:
            result = enrollment.enroll(changed, found.name, found.series or None, heads, head=True)
            return [*lines, *enrolled_lines(result, str(changed))]
    except UserError as error:
        return [*lines, f"the name is kept in the collection, but nothing was enrolled: {error}"]


def _png(picture: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "PNG")
    return out.getvalue()
