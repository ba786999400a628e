"""The parameters of every entry point as Markdown tables, for docs/training.md.

python -m pipeline.parameters.table                      # print them
python -m pipeline.parameters.table docs/training.md     # write them between the file's markers
"""

import dataclasses
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from pipeline.parameters.entry_points import MainOptions, ReleaseOptions, SweepOptions
from pipeline.parameters.steps import STEPS

ENTRY_POINTS: dict[str, type] = {"main": MainOptions, "release": ReleaseOptions, "sweep": SweepOptions, **STEPS}
START, END = "<!-- parameters -->", "<!-- /parameters -->"


def tables(entry_points: Mapping[str, type] = ENTRY_POINTS) -> str:
    """A section for each entry point: what it does, then a row for each parameter with its default, allowed values and help."""
    return "\n\n".join(_section(name, parameters) for name, parameters in entry_points.items())


def with_tables(page: str, entry_points: Mapping[str, type] = ENTRY_POINTS) -> str:
    """The page with the tables between its markers. Raises ValueError where the page does not have the markers once."""
    if page.count(START) != 1 or page.count(END) != 1 or page.index(END) < page.index(START):
        raise ValueError(f"the page must contain {START} and then {END}, once each")
    before, rest = page.split(START)
    return f"{before}{START}\n\n{tables(entry_points)}\n\n{END}{rest.split(END)[1]}"


def _section(name: str, parameters: type) -> str:
    rows = [
        f"| `{f.name}` | {_default(f)} | {_values(f)} | {_cell(f.metadata['help'])} |" for f in dataclasses.fields(parameters)
    ]
    head = ["| parameter | default | values | meaning |", "|---|---|---|---|"]
    return "\n".join([f"### {name}", "", re.sub(r"\s+", " ", parameters.__doc__ or "").strip(), "", *head, *rows])


def _default(field: dataclasses.Field) -> str:
    value = field.default
    if value is None or value == "":
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _values(field: dataclasses.Field) -> str:
    """The allowed values: words, or bounds (both included)."""
    choices, low, high = (field.metadata.get(key) for key in ("choices", "low", "high"))
    if words := [*(choices or ()), *(field.metadata.get("places") or ())]:
        return ", ".join(f"`{word}`" for word in words)
    if isinstance(field.default, bool):
        return "`true`, `false`"
    if low is None and high is None:
        return ""
    if high is None:
        return f"at least {low}"
    if low is None:
        return f"at most {high}"
    return f"{low} to {high}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        path = Path(sys.argv[1])
        path.write_text(with_tables(path.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(tables())
