"""What is reported of datasets whose pictures have been looked at."""

import numpy as np
import pandas as pd
import pytest

from crystal_eyes.audit import findings as kinds
from crystal_eyes.audit.findings import assess
from crystal_eyes.audit.looking import Looks, record_type
from crystal_eyes.data.layouts import COLUMNS
from tests.unit.audit.test_labels import drawn


@pytest.fixture
def dataset():
    """Head crops of ten characters with six pictures each, all different."""
    embeddings, labels = drawn([6] * 10)
    rng = np.random.default_rng(0)
    records = np.zeros(len(labels), record_type(embeddings.shape[1]))
    records["embedding"], records["size"], records["heads"], records["whole"] = embeddings, 100, 1, True
    records["hashes"] = rng.integers(0, 2**63, records["hashes"].shape, np.uint64)
    records["thumbnail"] = rng.integers(0, 256, records["thumbnail"].shape, np.uint8)
    rows = [(f"/{row}", f"{row}", f"Character {label}", "", "", "", None, "", None, "") for row, label in enumerate(labels)]
    return pd.DataFrame(rows, columns=COLUMNS), records


def found(table: pd.DataFrame, records: np.ndarray, kind: str) -> list[tuple[str, str, bool]]:
    audit = assess(table, [], Looks([""] * len(table), records), [])
    assert set(np.flatnonzero(~audit.kept())) == {one.row for one in audit.findings if one.removed}
    return [(one.file, one.other_character, one.removed) for one in audit.findings if one.kind == kind]


def test_a_clean_dataset_has_no_findings(dataset):
    table, records = dataset
    audit = assess(table, [], Looks([""] * len(table), records), [])
    assert audit.findings == [] and audit.kept().all() and audit.are_crops


def test_a_wrong_label_is_removed_and_the_right_one_suggested(dataset):
    table, records = dataset
    table.loc[3, "character"] = "Character 7"
    assert found(table, records, kinds.WRONG) == [("3", "Character 0", True)]


def test_of_the_same_picture_under_two_names_the_copy_that_fits_stays(dataset):
    table, records = dataset
    records[20] = records[3]
    assert found(table, records, kinds.TWO_NAMES) == [("3", "Character 3", False), ("20", "Character 0", True)]
    assert found(table, records, kinds.WRONG) == []  # not reported twice


def test_both_copies_are_removed_where_the_labels_do_not_tell(dataset):
    table, records = dataset
    records[20] = records[3]
    table.loc[[3, 20], "character"] = ["Character 8", "Character 9"]
    assert [one[2] for one in found(table, records, kinds.TWO_NAMES)] == [True, True]


def test_a_character_under_two_names_is_suggested_and_nothing_removed(dataset):
    table, records = dataset
    records["embedding"][:6] = drawn([6], noise=0.03)[0]
    table.loc[:2, "character"] = "Someone"
    ((_, other, removed),) = found(table, records, kinds.ONE_CHARACTER)
    assert other == "Someone" and not removed


def test_among_head_crops_a_missed_head_is_no_error_unless_it_resembles_nothing(dataset):
    table, records = dataset
    records["heads"][[4, 5]], records["whole"][[4, 5]] = 0, False
    stranger = np.zeros(64)
    stranger[0] = 1
    records["embedding"][5] = stranger - records["embedding"][:5].astype(float).mean(axis=0)
    assert found(table, records, kinds.NO_HEAD) == [("5", "", True)]


def test_among_whole_pictures_every_one_without_or_with_several_heads_is_reported(dataset):
    table, records = dataset
    records["whole"] = False
    records["heads"][4], records["heads"][9] = 0, 3
    assert found(table, records, kinds.NO_HEAD) == [("4", "", True)]
    assert found(table, records, kinds.SEVERAL) == [("9", "", True)]


def test_what_says_where_its_heads_are_is_not_searched_for_them(dataset):
    table, records = dataset
    records["heads"], records["whole"] = -1, False
    assert found(table, records, kinds.NO_HEAD) == found(table, records, kinds.SEVERAL) == []


def test_of_near_duplicates_in_two_splits_the_one_for_testing_stays(dataset):
    table, records = dataset
    records["hashes"][2] = records["hashes"][1]
    table["split"] = "train"
    table.loc[1, "split"] = "test"
    assert found(table, records, kinds.ACROSS) == [("2", "Character 0", True)]
    table["split"] = ""
    assert found(table, records, kinds.DUPLICATE) == [("2", "Character 0", False)]
