"""What the folders of a dataset are: splits, sets, characters, or parts of a character.

Names and repetition tell. `train` with folders inside it is a split. A folder below another one is a part of a character
(`Miku/fanart`) where its name says so (PART), or where few names stand below many folders (`Miku/a`, `Rin/a`, `Len/a`);
otherwise the upper folder is a set (`vocaloid/Miku`).
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from crystal_eyes.data.layouts.splits import split_of_folder

Folders = tuple[str, ...]  # names from the dataset's folder downwards

# names that say where or how pictures were made, rather than whom they show
PART = re.compile(
    r"""(the[ ])?(
    official|unofficial|fan|fan[ ]?arts?|official[ ]?arts?|key[ ]?(visual|art)s?|concept[ ]?arts?|art|arts|artworks?
    |illust(ration)?s?|drawings?|paintings?|sketch(es)?|line[ ]?arts?|mono(chrome)?|colou?r(ed)?|pixel[ ]?arts?
    |anime|manga|comics?|games?|novel|movie|film|tv|ova|web|cosplay|merch|screen(shot|cap)s?|frames?|stills?|cg|cgs
    |cards?|icons?|sprites?|portraits?|busts?|stickers?|chibi|avatars?|thumbs?|thumbnails?
    |heads?|faces?|crops?|cropped|full|full[ ]?body|front|side|back|profile
    |images?|imgs?|pics?|pictures?|photos?|jpe?g|png|webp|raw|clean(ed)?|original|originals|processed|augmented
    |alt|alts|alternatives?|misc|others?|extras?|more|new|old|good|bad|best|default|normal
    |pixiv|twitter|danbooru|safebooru|gelbooru|zerochan|deviantart|tumblr|google|bing
    |((part|set|batch|vol|volume|chapter|page|season|episode|ep|series|group|folder|dir|outfit|costume|version|ver)[ ]?)\d+
    |s\d{1,2}|v\d{1,2}|(19|20)\d\d([ ]\d\d){0,2}
    )""",
    re.VERBOSE,
)
OFTEN = 3  # folders below which one name has to stand, on average, to be a part of each of them
LOOSE = 0.5  # with fewer pictures of its own, in relation to those in folders below, a folder is a set with loose pictures
MAX_NAMED = 3  # examples in a note


@dataclass(frozen=True)
class Home:
    """Whose pictures a folder holds."""

    folders: Folders  # of the sets, then of the character; empty if the pictures are no character's
    sets: Folders  # whose character it is: without a folder that says where pictures of one character come from
    split: str  # train | validation | test | ""


@dataclass(frozen=True)
class Structure:
    homes: dict[Folders, Home]  # by folder
    notes: list[str]


def understand(counts: Mapping[Folders, int]) -> Structure:
    """counts: pictures that lie directly in each folder, which is at least one level deep."""
    notes: list[str] = []
    are_splits: dict[Folders, bool] = {}
    split_homes = {folders: _without_splits(folders, counts, are_splits) for folders in counts}
    inner: Counter[Folders] = Counter()
    for folders, (home, _) in split_homes.items():
        if home:
            inner[home] += counts[folders]
    if doubtful := [
        folder[-1] for folder, known in are_splits.items() if not known and split_of_folder(folder[-1], whole=True)
    ]:
        notes.append(f"warning: {_some(doubtful)} is read as a character, not as a split: it holds no characters' folders")
    owners = _owners(inner, notes)
    sources = _sources({owner for owner in owners.values() if owner}, notes)
    homes = {}
    for folders, (home, split) in split_homes.items():
        owner = owners.get(home, ())
        homes[folders] = Home(owner, owner[:-2] if owner[:-1] in sources else owner[:-1], split)
    return Structure(homes, notes)


def _name(text: str) -> str:
    return " ".join(re.sub(r"[\W_]+", " ", text.casefold()).split())


def is_part_name(text: str) -> bool:
    return PART.fullmatch(_name(text)) is not None


def _without_splits(folders: Folders, counts: Mapping[Folders, int], are_splits: dict[Folders, bool]) -> tuple[Folders, str]:
    """(folders that are no split, the split). are_splits: what is known of folders already, and becomes known."""
    rest, innermost = [], ""
    for level, name in enumerate(folders):
        folder = folders[: level + 1]
        split = split_of_folder(name)
        if split and folder not in are_splits:
            are_splits[folder] = _is_split(folder, counts)
        if split and are_splits[folder]:
            innermost = split
        else:
            rest.append(name)
    return tuple(rest), innermost


def _is_split(folder: Folders, counts: Mapping[Folders, int]) -> bool:
    """Whether a folder named like a split is one: it holds folders, or stands beside another split."""
    level = len(folder)
    if level > 1 and folder[-1] == folder[-2]:  # as archives repeat their names
        return _is_split(folder[:-1], counts)
    if split_of_folder(folder[-1], whole=True) and any(len(other) > level and other[:level] == folder for other in counts):
        return True
    beside = {other[level - 1] for other in counts if len(other) >= level and other[: level - 1] == folder[:-1]}
    return len({split_of_folder(name) for name in beside} - {""}) > 1


def _owners(inner: Mapping[Folders, int], notes: list[str]) -> dict[Folders, Folders]:
    """By folder of pictures: the folder of their character; () for loose pictures of a set."""
    owners: dict[Folders, Folders] = {folders: folders for folders in inner}
    guessed: set[str] = set()
    while True:
        now: Counter[Folders] = Counter()
        for folders, owner in owners.items():
            now[owner] += inner[folders]
        now.pop((), None)
        moved = _parts(now, guessed)
        if not moved:
            break
        owners = {folders: moved.get(owner, owner) for folders, owner in owners.items()}
    parts = sorted({folders[-1] for folders, owner in owners.items() if owner and owner != folders})
    if parts:
        count = len({owner for folders, owner in owners.items() if owner and owner != folders})
        notes.append(f"folders below {count} characters ({_some(parts)}) are read as parts of these characters")
    if guessed:
        notes.append(
            f"warning: {_some(guessed)} may be characters rather than parts of the folders above them: if so, give a table "
            "with the columns file, character and series"
        )
    if loose := sorted("/".join(folders) for folders, owner in owners.items() if not owner):
        notes.append(f"warning: pictures directly in {_some(loose)}, which holds characters' folders, are left out")
    return owners


def _parts(now: Mapping[Folders, int], guessed: set[str]) -> dict[Folders, Folders]:
    """Folders that are parts, with the folder that they are a part of; () for loose pictures in a set's folder."""
    deepest = max((len(folders) for folders in now), default=0)
    for level in range(deepest, 1, -1):  # what is below counts first
        children = [folders for folders in now if len(folders) == level]
        by_parent: dict[Folders, list[Folders]] = {}
        parents_of: dict[str, set[Folders]] = {}
        for folders in children:
            by_parent.setdefault(folders[:-1], []).append(folders)
            parents_of.setdefault(_name(folders[-1]), set()).add(folders[:-1])
        unnamed = {name: homes for name, homes in parents_of.items() if not is_part_name(name)}
        shared = {name for name, homes in unnamed.items() if len(homes) >= OFTEN}
        holders = {home for name in shared for home in unnamed[name]}
        # few names below many folders are parts; many names below few folders are characters that several sets show
        are_parts = bool(shared) and 2 * len(unnamed) <= len(holders) and len(unnamed) <= 2 * len(shared)
        are_parts = are_parts and 2 * sum(is_part_name(home[-1]) for home in holders) < len(holders)
        moved: dict[Folders, Folders] = {}
        for parent, below in by_parent.items():
            named = [one for one in below if is_part_name(one[-1]) or (are_parts and _name(one[-1]) in shared)]
            own = now.get(parent, 0)
            is_character = 2 * len(named) >= len(below) and not (level == 2 and is_part_name(parent[-1]))
            if not is_character and own and (len(below) == 1 or own >= LOOSE * sum(now[one] for one in below)):
                is_character = True
                guessed |= {"/".join(one) for one in below if one not in named}
            if is_character:
                moved |= {one: parent for one in below}
                guessed |= {one[-1] for one in named if not is_part_name(one[-1])}
            elif own:
                moved[parent] = ()
        if moved:
            return moved
    return {}


def _sources(characters: set[Folders], notes: list[str]) -> set[Folders]:
    """Folders of sets that are named for where pictures come from (`fanart/Miku`), and whose characters others have too."""
    homes: dict[str, set[Folders]] = {}
    for folders in characters:
        homes.setdefault(folders[-1], set()).add(folders[:-1])
    shared = {name: above for name, above in homes.items() if len(above) > 1}
    sources = {home for above in shared.values() for home in above if home and is_part_name(home[-1])}
    if sources:
        named = sorted("/".join(home) for home in sources)
        notes.append(f"{_some(named)} are read as sources of pictures: a name below several of them is one character")
    apart = sorted(name for name, above in shared.items() if len(above - sources) > 1)
    if apart:
        notes.append(
            f"warning: {len(apart)} names stand in several sets ({_some(apart)}) and are read as different characters: if "
            "each is one character, merge its folders, or give a table with the columns file, character and series"
        )
    return sources


def _some(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:MAX_NAMED]) + (f" and {len(ordered) - MAX_NAMED} more" if len(ordered) > MAX_NAMED else "")
