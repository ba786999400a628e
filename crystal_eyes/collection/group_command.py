"""What `crystal-eyes group` does and says."""

from pathlib import Path

from crystal_eyes.collection.folders import export
from crystal_eyes.collection.groups import Group, Groups
from crystal_eyes.collection.storage import DATABASE
from crystal_eyes.console import as_json, say, say_error, say_line
from crystal_eyes.errors import UserError

SHOWN = 3  # places of a group that are listed


def change(
    groups: Groups, name: list[str] | None, series: str | None, merge: list[int] | None, split: list[int] | None
) -> Group:
    """Name, merge or split groups, whichever is given, and say what was done. Raises UserError."""
    if name:
        if not name[0].isdecimal():
            raise UserError(f"{name[0]!r} is not the number of a group: give --name GROUP NAME")
        found = groups.name(int(name[0]), name[1], series or "")
    else:
        found = groups.merge(merge) if merge else groups.split(split or [])
    say_line(_line(found))
    return found


def report(groups: Groups, in_json: bool, to: Path | None, link: bool) -> int:
    """List the groups, and put their pictures into a folder each where one is given. Returns the exit code."""
    if to and (to / DATABASE).exists():
        raise UserError(f"{to} is a collection: choose another folder for the pictures")
    if groups.remark:
        say_error(groups.remark)
    found = groups.all()
    outliers = groups.outliers
    for one in found:
        say(as_json(one.as_dict())) if in_json else say_line(_line(one))
    if in_json:
        say(as_json({"group": None, "heads": [place.as_dict() | {"head": id} for id, place in outliers]}))
    else:
        inside = sum(len(one.heads) for one in found)
        say(f"{_counted(len(found), 'group')} with {_counted(inside, 'head')}; {_counted(len(outliers), 'head')} in no group")
    if to is None:
        return 0
    done = export(found, [place for _, place in outliers], to, link)
    for line in done.problems:
        say_line(line)
    if not in_json:
        say_line(f"{done.written:,} pictures in {to}, {done.present:,} of them were there already")
    return 1 if done.problems else 0


def _line(one: Group) -> str:
    """`17  12 heads  Hatsune Miku  (0.93)  picture.png, ...`"""
    who = one.name and f"{one.name}, {one.series}" if one.series else one.name
    if not who:
        series = f", {one.suggested_series}" if one.suggested_series else ""
        sure = "less than 1%" if one.probability < 0.01 else f"{one.probability:.0%}"
        who = f"perhaps {one.suggestion}{series} ({sure})"
    some = ", ".join(str(place) for place in one.places[:SHOWN])
    return f"group {one.number}: {_counted(len(one.heads), 'head')}, {who}: {some}{', ...' if len(one.places) > SHOWN else ''}"


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
