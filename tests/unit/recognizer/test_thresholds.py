import hashlib

import pytest

from crystal_eyes.audit import labels
from crystal_eyes.collection import grouping
from crystal_eyes.recognizer.bundle import ENCODER
from crystal_eyes.recognizer.places import released_folder
from crystal_eyes.recognizer.thresholds import other_encoder


@pytest.mark.parametrize(
    ("chosen_with", "thresholds", "benchmark"),
    [
        (grouping.CHOSEN_WITH, "grouping.py: ALIKE, LIKENESS", "benchmarks/collection/groups.py"),
        (
            labels.CHOSEN_WITH,
            "labels.py: MARGIN, ONE; look at findings.py: UNLIKE, too",
            "benchmarks/audit/labels.py and benchmarks/audit/run.py",
        ),
    ],
)
def test_thresholds_were_chosen_with_the_released_encoder(chosen_with, thresholds, benchmark):
    found = hashlib.sha256((released_folder() / ENCODER).read_bytes()).hexdigest()
    assert found == chosen_with, (
        f"models/recognizer has another encoder than these cosines were chosen with ({thresholds}): run {benchmark}, set the "
        f'thresholds, then CHOSEN_WITH beside them to "{found}"'
    )


def test_another_encoder_is_one_line_with_what_to_do():
    line = other_encoder("groups", "a" * 64, "b" * 64, "look at them")
    assert line == (
        "the thresholds for groups were chosen with the encoder aaaaaaaaaaaa, this bundle has bbbbbbbbbbbb: look at them"
    )
    assert other_encoder("groups", "a" * 64, "a" * 64, "look at them") is None
