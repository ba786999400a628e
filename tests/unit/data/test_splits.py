from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crystal_eyes.data.options import SplitOptions
from crystal_eyes.data.splits import assign_splits
from crystal_eyes.errors import UserError

OPTIONS = SplitOptions(train_per_character=5, test_per_character=3, validation_characters=0.2, test_characters=0.2)


def a_table(sizes, artworks=None, splits=None) -> pd.DataFrame:
    names = [f"c{c}" for c, size in enumerate(sizes) for _ in range(size)]
    files = [f"c{c}/{i}.png" for c, size in enumerate(sizes) for i in range(size)]
    return pd.DataFrame({"file": files, "character": names, "artwork": artworks or "", "split": splits or ""})


SIZES = st.lists(st.integers(2, 14), min_size=5, max_size=12)


@st.composite
def tables(draw, given_splits: bool = False) -> pd.DataFrame:
    """Characters whose pictures share artworks, with each other too; their first two are always separate drawings."""
    sizes = draw(SIZES)
    artworks, splits = [], []
    for character, size in enumerate(sizes):
        own = st.sampled_from(["", f"{character} a", f"{character} b", "shared 1", "shared 2"])
        artworks += ["", "", *draw(st.lists(own, min_size=size - 2, max_size=size - 2))]
        free = st.sampled_from(["", "train", "test", "validation"])
        splits += ["train", "test", *draw(st.lists(free, min_size=size - 2, max_size=size - 2))]
    return a_table(sizes, artworks, splits if given_splits else None)


def sides(table: pd.DataFrame, column: str) -> list[set[str]]:
    """For every artwork, the sides of a split that its pictures are on."""
    artwork = table["artwork"].where(table["artwork"] != "", table["file"])
    return [set(part) - {""} for _, part in table.groupby(artwork)[column]]


@settings(max_examples=20, deadline=None)
@given(table=tables(), seed=st.integers(0, 9))
def test_no_artwork_is_on_two_sides_of_a_split(table, seed):
    split = assign_splits(table, OPTIONS, seed)
    assert all(len(found) <= 1 for found in sides(split, "classifier_split"))
    assert all(len(found) <= 1 for found in sides(split, "encoder_split"))


@settings(max_examples=20, deadline=None)
@given(table=tables() | tables(given_splits=True), seed=st.integers(0, 9))
def test_the_encoder_never_sees_what_classifiers_are_tested_on(table, seed):
    split = assign_splits(table, OPTIONS, seed)
    artwork = split["artwork"].where(split["artwork"] != "", split["file"])
    tested = artwork.isin(artwork[split["classifier_split"] == "test"])
    assert split["encoder_split"][tested].isin(["", "test"]).all()


@settings(max_examples=20, deadline=None)
@given(table=tables() | tables(given_splits=True), seed=st.integers(0, 9))
def test_the_encoders_groups_share_no_character(table, seed):
    split = assign_splits(table, OPTIONS, seed)
    groups = split[split["encoder_split"] != ""].groupby("character")["encoder_split"].nunique()
    assert (groups == 1).all()


@settings(max_examples=20, deadline=None)
@given(sizes=SIZES, train=st.integers(1, 8), test=st.integers(1, 8), seed=st.integers(0, 9))
def test_a_characters_pictures_are_split_by_the_rule(sizes, train, test, seed):
    split = assign_splits(a_table(sizes), replace(OPTIONS, train_per_character=train, test_per_character=test), seed)
    for size, (_, part) in zip(sizes, split.groupby("character", sort=False)):
        found = part["classifier_split"].value_counts()
        if size >= train + test:
            assert (found["train"], found["test"]) == (train, test)
        else:  # all are used, in the proportion that was asked for as nearly as whole pictures can
            assert found["train"] + found["test"] == size
            exact = size * test / (train + test)
            assert abs(found["test"] - exact) <= 0.5 or (found["test"], found["train"]).count(1)
    assert (split["file"] == a_table(sizes)["file"]).all()


@settings(max_examples=20, deadline=None)
@given(sizes=st.lists(st.integers(2, 6), min_size=6, max_size=40), a=st.floats(0.01, 0.5), b=st.floats(0.01, 0.5))
def test_the_requested_share_of_characters_is_unseen_by_the_encoder(sizes, a, b):
    count = len(sizes)
    kept = [max(2 if count >= 8 else 1, round(count * share)) for share in (a, b)]
    options = replace(OPTIONS, validation_characters=a, test_characters=b)
    if count - sum(kept) < 2:
        with pytest.raises(UserError, match="lower them"):
            assign_splits(a_table(sizes), options, 0)
        return
    split = assign_splits(a_table(sizes), options, 0)
    found = split[split["encoder_split"] != ""].groupby("encoder_split")["character"].nunique()
    assert (found["validation"], found["test"], found["train"]) == (*kept, count - sum(kept))
    # test characters are used whole, the others without the pictures that classifiers are tested on
    test = split["character"].isin(split["character"][split["encoder_split"] == "test"])
    assert (split["encoder_split"][test] == "test").all()
    assert ((split["encoder_split"] == "") == (split["classifier_split"] == "test"))[~test].all()


@settings(max_examples=20, deadline=None)
@given(table=tables(), shuffle=st.integers(0, 1000), seed=st.integers(0, 9))
def test_the_order_of_the_rows_does_not_matter(table, shuffle, seed):
    options = replace(OPTIONS, train_per_character=3, test_per_character=2)
    first = assign_splits(table, options, seed).set_index("file")
    other = assign_splits(table.sample(frac=1, random_state=shuffle), options, seed).set_index("file")
    pd.testing.assert_frame_equal(first, other.loc[first.index])


def test_another_seed_is_another_split():
    table = a_table([12] * 10)
    first, second = (assign_splits(table, OPTIONS, seed) for seed in (0, 1))
    assert (first["classifier_split"] != second["classifier_split"]).any()
    assert set(first["character"][first["encoder_split"] == "test"]) != set(
        second["character"][second["encoder_split"] == "test"]
    )


@settings(max_examples=20, deadline=None)
@given(sizes=SIZES, more=st.integers(2, 14), seed=st.integers(0, 9))
def test_a_new_character_does_not_change_the_others_classifier_split(sizes, more, seed):
    before = assign_splits(a_table(sizes), OPTIONS, seed)
    after = assign_splits(a_table([*sizes, more]), OPTIONS, seed)
    assert after["classifier_split"].head(len(before)).tolist() == before["classifier_split"].tolist()


@settings(max_examples=20, deadline=None)
@given(table=tables(given_splits=True))
def test_a_split_given_by_the_dataset_is_kept(table):
    table["artwork"] = ""
    split = assign_splits(table, OPTIONS, 0)
    expected = table["split"].where(table["split"].isin(["train", "test"]), "")
    assert split["classifier_split"].tolist() == expected.tolist()
    assert split["encoder_split"][table["split"].isin(["test", "validation"])].isin(["", "test"]).all()


def test_whole_artworks_move_together_and_leave_a_picture_on_each_side():
    artworks = ["x"] * 9 + ["y"] + [""] * 24
    split = assign_splits(a_table([10, 8, 8, 8], artworks), replace(OPTIONS, validation_characters=0.1, test_characters=0.1), 0)
    first = split[split["character"] == "c0"]
    assert {len(set(part)) for _, part in first.groupby("artwork")["classifier_split"] if "test" in set(part)} == {1}
    assert {"train", "test"} <= set(first["classifier_split"])


def test_a_character_of_a_single_artwork_is_in_no_split_of_the_classifiers():
    split = assign_splits(a_table([4, 6, 6, 6, 6], ["one"] * 4 + [""] * 24), OPTIONS, 0)
    assert (split["classifier_split"][:4] == "").all()
    assert (split["encoder_split"][:4] == "train").all()  # the encoder may be trained on it


@pytest.mark.parametrize("sizes", [[6, 6, 6], [6, 6, 6, 1], []])
def test_fewer_than_four_usable_characters_are_too_few(sizes):
    with pytest.raises(UserError, match="at least 4") as caught:
        assign_splits(a_table(sizes), OPTIONS, 0)
    assert "\n" not in str(caught.value)
