"""Answers in words, for a console."""

from crystal_eyes.recognizer.answers import Head, full_name, who
from crystal_eyes.recognizer.characters import Known
from crystal_eyes.recognizer.enrollment import Enrollment
from crystal_eyes.recognizer.finding import FoundHead


def count_of(heads: int) -> str:
    return "no head found" if not heads else "1 head" if heads == 1 else f"{heads} heads"


def place(number: int, head: Head | FoundHead) -> str:
    if head.whole_picture:
        return f"  {number}  the whole picture is a head"
    return f"  {number}  at {', '.join(f'{value:.0f}' for value in head.box)}"


def candidate_lines(number: int, head: Head) -> list[str]:
    lines = [place(number, head)]
    if head.verdict == "unknown":  # percentages would read like an answer
        lines += [f"     nearest  {who(one)}" for one in head.nearest]
    else:
        lines += [f"     {one.probability:5.1%}  {who(one)}" for one in head.candidates]
        if head.series:
            lines.append(f"     most likely series: {head.series.name} ({head.series.probability:.1%})")
    return [*lines, f"     {head.sentence()}"]


def comparison_lines(number: int, head: Head) -> list[str]:
    lines = [place(number, head), f"     {head.sentence()}"]
    for one in head.nearest:
        lines.append(f"     similarity {one.similarity:.2f}  {who(one)}")
    lines.append(
        f"     p-value if the character is in this catalogue {head.p_value:.3f}, if it is not {head.stranger_share:.3f}"
    )
    return lines


def enrolled_lines(result: Enrollment, shown: str) -> list[str]:
    """What enroll did. shown: the bundle, as the user knows it."""
    lines = [f"left out {name}: {why}" for name, why in result.left_out]
    for name, head in result.look_alikes:
        best = head.candidates[0]
        lines.append(f"{name} looks like {who(best)} (probability {best.probability:.2f}): {head.sentence()}")
    if result.of_others:
        whose = ", ".join(f"{name} ({count})" for name, count in result.of_others.items())
        lines.append(f"already in the bundle under another name, and left out: {whose}")
    if result.heads_before:
        whole = full_name(result.character, result.series)
        lines.append(f"{whole} in {shown} now has {result.heads + result.heads_before} heads, {result.heads} of them new")
    else:
        lines.append(f"{result.character} was added to {shown} from {count_of(result.heads)}")
    return lines


def known_line(one: Known) -> str:
    """A character that a bundle knows."""
    more = [one.original_name, "" if one.heads is None else "1 head" if one.heads == 1 else f"{one.heads} heads",
            "enrolled" if one.folder else ""]  # fmt: skip
    return ", ".join([str(one), *filter(None, more)])
