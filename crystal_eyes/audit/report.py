"""The folder of an audit: findings.csv, page.html to look at, cleaned.csv to train on, and what was seen of each picture."""

import csv
import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crystal_eyes.audit.findings import Audit, audit
from crystal_eyes.audit.page import page
from crystal_eyes.data.layouts import load_dataset
from crystal_eyes.errors import UserError
from crystal_eyes.paths import replaced

FINDINGS, CLEANED, PAGE = "findings.csv", "cleaned.csv", "page.html"
COLUMNS = ("kind", "file", "character", "other_file", "other_character", "score", "why", "removed")
CLEANED_COLUMNS = (
    "file", "character", "series", "set", "original_name", "artwork", "monochrome", "split",
    "left", "top", "right", "bottom", "box_unit", "box_kind",
)  # fmt: skip


@dataclass(frozen=True)
class Report:
    """What was written, and the counts that summarize it."""

    audit: Audit
    findings: Path
    page: Path
    cleaned: Path

    @property
    def kept(self) -> int:
        return int(self.audit.kept().sum())

    def lines(self) -> list[str]:
        """The summary, a line each."""
        found = [f"{count} {kind}" for kind, count in self.audit.counts().items() if count]
        heads = len(self.audit.table)
        return [*self.audit.notes, f"found: {', '.join(found) or 'nothing'}", f"{self.kept} of {heads} heads are in {CLEANED}"]


def write_audit(
    dataset: Path,
    detector: Path,
    encoder: Path,
    folder: Path,
    confidence: float = 0.0,
    relative: bool = False,
    seen: Path | None = None,
) -> Report:
    """Audit a dataset and write the folder. An earlier audit in it is replaced, and what it saw is not looked at again.

    relative: cleaned.csv names the pictures relative to the dataset's folder, into which it then has to be copied; otherwise by
    their whole path. seen: existing folder for what was seen; None: the same. Raises UserError, with nothing written, where the
    folder is another one's or the dataset can't be used.
    """
    root = (dataset if dataset.is_dir() else dataset.parent).resolve()
    _require_own(folder, dataset)
    read = load_dataset(dataset, confidence)  # its errors come before anything is written
    folder.mkdir(parents=True, exist_ok=True)
    done = audit(read, detector, encoder, seen or folder)
    report = Report(done, folder / FINDINGS, folder / PAGE, folder / CLEANED)
    shown = page(done, dataset.name)
    cleaned = _cleaned(done, root if relative else None)
    for path, text in ((report.findings, _findings(done)), (report.cleaned, cleaned), (report.page, shown)):
        with replaced(path) as part:
            part.write_text(text, "utf-8")
    return report


def _require_own(folder: Path, dataset: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is not a folder: choose another one for the audit")
    if dataset.is_dir() and folder.resolve().is_relative_to(dataset.resolve()):
        raise UserError(f"{folder} lies inside the dataset, and its tables would become a part of it: choose another one")
    inside = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if inside and FINDINGS not in inside and not any(name.startswith("seen-") for name in inside):
        raise UserError(f"{folder} holds something else than an audit: choose a new or empty folder")


def _findings(done: Audit) -> str:
    rows = (
        (one.kind, one.file, one.character, one.other_file, one.other_character,
         "" if np.isnan(one.score) else f"{one.score:.3f}", one.why, "yes" if one.removed else "no")
        for one in done.findings
    )  # fmt: skip
    return _csv(COLUMNS, rows)


def _cleaned(done: Audit, root: Path | None) -> str:
    """A table in the layout that datasets are read from. root: that its files are relative to; None: whole paths."""
    table = done.table[done.kept()].sort_values(["character", "file"], kind="stable")
    rows = []
    for row in table.to_dict("records"):
        path = Path(row["path"])
        file = Path(os.path.relpath(path, root)).as_posix() if root else str(path)
        monochrome = "" if row["monochrome"] is None else "1" if row["monochrome"] else "0"
        labels = [row[name] for name in ("character", "series", "set", "original_name", "artwork")]
        box = row["box"] or ("",) * 6
        rows.append([file, *labels, monochrome, row["split"], *box])
    return _csv(CLEANED_COLUMNS, rows)


def _csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return out.getvalue()
