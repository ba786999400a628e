"""Text and JSON on a console or in a file that may lack some of their letters."""

import io
import json
import re
import sys
from typing import Any

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # in a name they would break a line or steer a terminal
CONTROL_OR_SURROGATE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def never_fail_on_letters() -> None:
    """Let stdout and stderr show letters that their encoding lacks as `\\u4e00` instead of raising an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(text: str) -> None:
    """Print to stdout, at once. Raises OSError: stdout can't be written to."""
    print(text, flush=True)


def say_line(text: str) -> None:
    """Print a text as one line, whatever names are in it. Raises OSError: stdout can't be written to."""
    say(one_text_line(text))


def say_error(text: str) -> None:
    """Print a line to stderr that says who speaks."""
    print(f"crystal-eyes: {one_text_line(text)}", file=sys.stderr)


def one_text_line(text: str) -> str:
    """The text with its control characters written as escapes."""
    return CONTROL.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


def as_json(value: Any) -> str:
    """One line of JSON that says the same in every encoding of stdout: non-ASCII letters are kept in UTF-8 only.

    A file name's undecodable bytes are lone surrogates, which JSON can hold as escapes only.
    """
    encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("_", "-")
    text = json.dumps(value, ensure_ascii=encoding not in ("utf-8", "utf8"))
    return CONTROL_OR_SURROGATE.sub(lambda found: f"\\u{ord(found.group()):04x}", text)
