"""The plan for a hundred million pictures says what its script computes."""

from pathlib import Path

import pytest

from benchmarks.scale.plan import SEARCH, core_seconds, search_seconds, tables

PAGE = Path(__file__).resolve().parents[3] / "docs" / "scale.md"


def test_the_page_has_the_tables_that_the_script_prints():
    text = PAGE.read_text("utf-8")
    assert [table for table in tables(1e8, 1e9) if table not in text] == []


def test_the_laws_go_through_what_was_measured():
    assert [search_seconds(heads) for heads in SEARCH] == pytest.approx(list(SEARCH.values()))
    assert core_seconds(40, 40) == pytest.approx(2) and core_seconds(40, 41) > core_seconds(40, 40)
