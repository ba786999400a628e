"""What an audit reports of a dataset, and which rows stay in its cleaned table."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from crystal_eyes.audit.labels import CHOSEN_WITH, LabelCheck, check_labels, should_be_one
from crystal_eyes.audit.looking import GIVEN, Looks, look
from crystal_eyes.data.layouts import Dataset
from crystal_eyes.data.options import DUPLICATE_BITS
from crystal_eyes.data.same_pictures import is_flat, same_elsewhere
from crystal_eyes.data.selection import near_duplicates
from crystal_eyes.recognizer.thresholds import other_encoder

TINY = 32  # pixels of a head's shorter side: smaller ones show no features
UNLIKE = 0.6  # cosine: among head crops, a picture without a found head is called none only if it resembles its character less
REMEDY = "findings of both kinds may be missing or wrong: look at them before you train on the cleaned table"
SPLIT_ORDER = ("test", "validation", "train", "")  # of near-duplicates in several splits, the first one stays

WRONG, TWO_NAMES, ACROSS, DUPLICATE = "wrong label", "two names", "across splits", "near-duplicate"
NO_HEAD, SEVERAL, ONE_CHARACTER, TINY_HEAD, UNUSABLE = "no head", "several heads", "one character", "tiny", "unusable"
KINDS = {  # in the order of the report
    WRONG: "Heads that resemble another character clearly more than the other heads of their own.",
    TWO_NAMES: "The same picture under two characters, also resized, mirrored, brighter or darker.",
    ONE_CHARACTER: "Characters whose heads are as alike as those of one character. Nothing is changed: if they are one, rename "
    "the folder or the rows of one of them.",
    ACROSS: "Near-duplicates in two of the dataset's own splits: what is tested on would also be trained on.",
    DUPLICATE: "Near-duplicates under one character. They stay in the cleaned table: training uses one of each.",
    NO_HEAD: "No head was found.",
    SEVERAL: "Several heads were found for one label.",
    TINY_HEAD: f"Heads with fewer than {TINY} pixels on their shorter side.",
    UNUSABLE: "Files that can't be read, show a single color, or have no usable label.",
}


class Finding(NamedTuple):
    """One line of the table of findings. Rows are those of Audit.table, -1: none."""

    kind: str  # one of KINDS
    row: int
    file: str
    character: str
    other_row: int = -1  # to look at beside it
    other_file: str = ""
    other_character: str = ""  # that is suggested, or that has the same picture
    score: float = np.nan  # the higher, the more certain, within a kind
    why: str = ""
    removed: bool = False  # the row is not in the cleaned table


@dataclass(frozen=True)
class Audit:
    """What was found in a dataset."""

    table: pd.DataFrame  # layouts.COLUMNS, as the dataset was read
    notes: list[str]  # how it was understood
    looks: Looks
    check: LabelCheck  # of the rows in checked
    checked: np.ndarray  # int64: rows of the table whose labels were compared
    findings: list[Finding]  # by kind, most certain first
    are_crops: bool  # most pictures are head crops

    def counts(self) -> dict[str, int]:
        """The number of findings of every kind."""
        return {kind: sum(one.kind == kind for one in self.findings) for kind in KINDS}

    def kept(self) -> np.ndarray:
        """bool [rows]: the rows of the cleaned table."""
        mask = np.ones(len(self.table), bool)
        mask[[one.row for one in self.findings if one.removed and one.row >= 0]] = False
        return mask


def audit(read: Dataset, detector: Path, encoder: Path, folder: Path) -> Audit:
    """Look at a dataset and report what is wrong in it.

    detector, encoder: ONNX files; folder: existing, keeps what was seen (see looking.look). Raises UserError where one of the
    files can't be used.
    """
    order = {split: place for place, split in enumerate(SPLIT_ORDER)}
    table = read.table.sort_values("split", key=lambda splits: splits.map(order), kind="stable").reset_index(drop=True)
    looks = look(table, detector, encoder, folder)
    digest = hashlib.sha256(encoder.read_bytes()).hexdigest()
    remark = other_encoder("wrong labels and one character", CHOSEN_WITH, digest, REMEDY)
    findings = [Finding(UNUSABLE, -1, file, "", why=why, removed=True) for file, why in read.left_out]
    return assess(table, [*read.notes, *([remark] if remark else [])], looks, findings)


def assess(table: pd.DataFrame, notes: list[str], looks: Looks, findings: list[Finding]) -> Audit:
    """Report what is wrong in a dataset that has been looked at. table: layouts.COLUMNS; findings: what was found before."""
    records, heads = looks.records, looks.records["heads"]
    usable = np.array([not problem for problem in looks.problems], bool)
    blank = usable & is_flat(records["thumbnail"])
    names = table["character"].to_numpy(dtype=str)

    def found(kind: str, row: int, other: int = -1, **more: Any) -> Finding:
        beside = {"other_file": table["file"][other], "other_character": names[other]} if other >= 0 else {}
        return Finding(kind, row, table["file"][row], names[row], other, **(beside | more))

    findings += [found(UNUSABLE, row, why=looks.problems[row], removed=True) for row in _rows(~usable)]
    findings += [found(UNUSABLE, row, why="a single color", removed=True) for row in _rows(blank)]
    usable &= ~blank
    tiny = usable & (records["size"].min(axis=1) < TINY)
    for row in _rows(tiny):
        findings.append(found(TINY_HEAD, row, why="{} x {} pixels".format(*records["size"][row]), removed=True))

    rows = np.flatnonzero(usable)
    twins = np.full(len(table), -1)
    hashes = list(records["hashes"][rows])
    near = near_duplicates(table.iloc[rows].reset_index(drop=True), hashes, DUPLICATE_BITS)
    twins[rows[near >= 0]] = rows[near[near >= 0]]
    splits = table["split"].to_numpy(dtype=str)
    for row in _rows(twins >= 0):
        across = splits[row] != splits[twins[row]]
        why = f"in {splits[row] or 'no split'} and in {splits[twins[row]] or 'no split'}" if across else ""
        findings.append(found(ACROSS if across else DUPLICATE, row, int(twins[row]), why=why, removed=across))

    searched = usable & (heads != GIVEN)
    several = searched & (heads > 1) & ~records["whole"]
    are_crops = bool(searched.any()) and 2 * int(records["whole"][searched].sum()) >= int(searched.sum())
    for row in _rows(several):
        findings.append(found(SEVERAL, row, why=f"{heads[row]} heads", score=float(heads[row]), removed=True))

    without = searched & (heads == 0)
    checked = np.flatnonzero(usable & ~tiny & (twins < 0) & ~several & (are_crops | ~without))
    _, labels = np.unique(names[checked], return_inverse=True)
    embeddings = looks.embeddings[checked]
    check = check_labels(embeddings, labels)
    place = np.full(len(table), -1)
    place[checked] = np.arange(len(checked))
    for row in _rows(without):
        alone = place[row] >= 0 and not check.own[place[row]]
        if not are_crops or (not alone and check.own[place[row]] < UNLIKE):
            findings.append(found(NO_HEAD, row, removed=True))

    elsewhere = np.full(len(table), -1)
    same = same_elsewhere(records["hashes"][rows], records["thumbnail"][rows], pd.factorize(names[rows])[0])
    elsewhere[rows[same >= 0]] = rows[same[same >= 0]]
    fits, misfits = np.zeros(len(table), bool), np.zeros(len(table), bool)
    fits[checked], misfits[checked] = check.margin <= 0, check.wrong
    for row in _rows(elsewhere >= 0):
        other = int(elsewhere[row])
        right = fits[row] and misfits[other]
        why = "fits this name" if right else "fits the other name" if fits[other] and misfits[row] else ""
        findings.append(found(TWO_NAMES, row, other, why=why, removed=not right))

    gone = {one.row for one in findings if one.removed} | set(np.flatnonzero(elsewhere >= 0).tolist())
    first_of = _most_typical(check, labels, checked)
    for number in np.argsort(-check.margin, kind="stable"):
        row = int(checked[number])
        if check.wrong[number] and row not in gone:
            suggested, other = bool(check.suggested[number]), first_of[check.other[number]]
            findings.append(
                found(WRONG, row, other, score=float(check.margin[number]), removed=True,
                      other_character=names[other] if suggested else "",
                      why="" if suggested else "resembles no character of the dataset much")
            )  # fmt: skip
    for one, two, score in should_be_one(embeddings, labels, check.weights):
        findings.append(found(ONE_CHARACTER, first_of[one], first_of[two], score=score))
    return Audit(table, notes, looks, check, checked, _sorted(findings), are_crops)


def _rows(mask: np.ndarray) -> list[int]:
    """Where a mask, bool [n], is set."""
    return [int(row) for row in np.flatnonzero(mask)]


def _most_typical(check: LabelCheck, labels: np.ndarray, checked: np.ndarray) -> dict[int, int]:
    """For each label, the row whose head resembles the others of its character most."""
    order = np.lexsort((-check.own, labels))
    first = np.flatnonzero(np.diff(labels[order], prepend=-1))
    return {int(labels[order[place]]): int(checked[order[place]]) for place in first}


def _sorted(findings: Iterable[Finding]) -> list[Finding]:
    order = {kind: place for place, kind in enumerate(KINDS)}

    def key(one: Finding) -> tuple[int, float, str, str]:
        return order[one.kind], -np.nan_to_num(one.score), one.character, one.file

    return sorted(findings, key=key)
