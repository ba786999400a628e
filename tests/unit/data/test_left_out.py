from crystal_eyes.data.left_out import MOST, lines


def test_the_commonest_reasons_come_first_each_with_its_first_example():
    found = lines([("a", "broken"), ("b", "twin"), ("c", "twin"), ("d", "broken"), ("e", "twin"), ("f", "empty")])
    assert found == [
        "left out 3: twin (such as b)",
        "left out 2: broken (such as a)",
        "left out 1: empty (such as f)",
    ]


def test_many_reasons_are_cut_and_none_give_no_line():
    assert len(lines([("file", f"reason {number}") for number in range(30)])) == MOST
    assert lines([]) == []
