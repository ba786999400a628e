"""Names of metrics that contain text of a user."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.utils.validation import MAX_ENTITY_KEY_LENGTH, _validate_metric_name

from pipeline.metric_names import metric_name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("top_1/sekai", "top_1/sekai"),
        ("top_1/Love Live!", "top_1/Love Live_"),
        ("top_1/Fate (stay night)", "top_1/Fate _stay night_"),
        ("top_1/アイマス", "top_1/アイマス"),
        ("top_1/..", "top_1/_"),
        ("top_1/a//b/", "top_1/a/_/b/_"),
    ],
)
def test_what_mlflow_refuses_is_replaced_and_nothing_else(text, expected):
    assert metric_name(text) == expected


@given(st.text(min_size=1))
def test_mlflow_takes_whatever_a_set_is_called(text):
    name = metric_name(f"top_1/{text}")
    _validate_metric_name(name)
    assert len(name) <= MAX_ENTITY_KEY_LENGTH


def test_a_very_long_one_is_cut():
    assert len(metric_name("top_1/" + "x" * 300)) == MAX_ENTITY_KEY_LENGTH
