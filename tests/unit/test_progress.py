from types import SimpleNamespace

import pytest

from crystal_eyes import progress
from crystal_eyes.progress import track


def test_every_item_is_passed_on_and_a_line_sums_up(capsys):
    assert list(track(iter("abc"), 3, "embed", "pictures")) == ["a", "b", "c"]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("embed: 3/3 pictures in ")


def test_nothing_to_do_is_fine(capsys):
    assert list(track([], 0, "embed")) == []
    assert capsys.readouterr().err.startswith("embed: 0/0 it in ")


def test_long_work_says_how_far_it_is_and_how_long_it_takes(capsys, monkeypatch):
    clock = iter(range(0, 1000, 4))  # every look at it, four seconds have passed
    # not time.monotonic itself: the page's server, in a thread of this process, would wait by this clock
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    list(track(range(7), 7, "epoch 1/2", "batches"))
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "epoch 1/2: 3/7 batches, 0.2/s, 16 s left",
        "epoch 1/2: 6/7 batches, 0.2/s, 4 s left",
        "epoch 1/2: 7/7 batches in 32.0 s",
    ]


def test_items_are_taken_one_at_a_time(capsys):
    taken = []
    items = track((taken.append(i) or i for i in range(5)), 5, "x")
    assert next(items) == 0 and taken == [0]


def test_an_error_in_the_work_comes_through(capsys):
    with pytest.raises(ZeroDivisionError):
        list(track((1 / i for i in (1, 0)), 2, "x"))


def test_on_a_terminal_there_is_a_bar(capsys, monkeypatch):
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True, raising=False)
    assert list(track("ab", 2, "embed", "pictures")) == ["a", "b"]
    text = capsys.readouterr().err
    assert "embed: 100%" in text and "2/2" in text
