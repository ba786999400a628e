"""The files of a dataset that a step could not use, with the reasons."""

import os
from collections.abc import Sequence

LeftOut = list[tuple[str, str]]  # (file, reason)
MAX_REASONS = 10
WRITTEN_BY_MACOS = "written by macOS beside a picture"  # the reason for a `._` file


def as_text(file: str) -> str:
    """A file's name that can be written anywhere: bytes that are no UTF-8 become escapes such as \\xff."""
    return os.fsencode(file).decode("utf-8", "backslashreplace")


def summary_lines(left_out: Sequence[tuple[str, str]]) -> list[str]:
    """One line per reason, most frequent first, each with its count and first file; at most MAX_REASONS lines."""
    files_by_reason: dict[str, list[str]] = {}
    for file, reason in left_out:
        files_by_reason.setdefault(reason, []).append(file)
    most_frequent = sorted(files_by_reason.items(), key=lambda item: -len(item[1]))[:MAX_REASONS]
    return [f"left out {len(files)}: {reason} (such as {files[0]})" for reason, files in most_frequent]
