from collections import Counter

import numpy as np

from crystal_eyes.evaluation.confusions import confused_pairs, per_character

TRUTH = np.array([*"aaaabbbccd"])
RANKS = np.array([0, 0, 0, 0, 0, 1, 5, 2, 4, 5])
LEARNED = np.array(["a", "d", "e"])


def test_the_hardest_characters_come_first():
    table = per_character(TRUTH, RANKS, LEARNED)
    assert table["character"].tolist() == ["d", "c", "b", "a"]
    assert table["pictures"].tolist() == [1, 2, 3, 4]


def test_the_accuracy_of_a_character_is_what_a_loop_counts():
    for row in per_character(TRUTH, RANKS, LEARNED).itertuples():
        mine = [rank for name, rank in zip(TRUTH, RANKS) if name == row.character]
        for k in (1, 3, 5):
            assert getattr(row, f"top_{k}") == sum(rank < k for rank in mine) / len(mine)


def test_it_says_which_characters_the_encoder_learned_from():
    seen = per_character(TRUTH, RANKS, LEARNED).set_index("character")["seen_by_encoder"]
    assert seen.to_dict() == {"a": True, "b": False, "c": False, "d": True}


def test_pairs_are_counted_either_way_and_the_most_frequent_come_first():
    truth = np.array([*"aaaabbbccccc"])
    answers = np.array([*"abbabaaccaad"])
    pairs = confused_pairs(truth, answers)
    counted = Counter(tuple(sorted(pair)) for pair in zip(truth, answers) if pair[0] != pair[1])
    assert {(row.character, row.taken_for): row.times for row in pairs.itertuples()} == dict(counted)
    assert pairs["times"].tolist() == [4, 2, 1]
    # of 4 + 3 tested pictures of a and b, 4 were taken for the other; d was never tested
    np.testing.assert_allclose(pairs["share"], [4 / 7, 2 / 9, 1 / 5])


def test_without_a_mistake_there_are_no_pairs():
    pairs = confused_pairs(np.array([*"aab"]), np.array([*"aab"]))
    assert list(pairs.columns) == ["character", "taken_for", "times", "share"] and pairs.empty


def test_equal_pairs_are_in_the_order_of_their_names_whatever_the_order_of_the_pictures():
    truth, answers = np.array([*"fdba"]), np.array([*"ecab"])
    first = confused_pairs(truth, answers)
    order = [2, 0, 3, 1]
    assert first.equals(confused_pairs(truth[order], answers[order]))
    assert first["character"].tolist() == ["a", "c", "e"]
