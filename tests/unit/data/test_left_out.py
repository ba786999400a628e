from crystal_eyes.data.left_out import MAX_REASONS, summary_lines


def test_the_most_frequent_reasons_come_first_each_with_its_first_file():
    found = summary_lines([("a", "broken"), ("b", "twin"), ("c", "twin"), ("d", "broken"), ("e", "twin"), ("f", "empty")])
    assert found == [
        "left out 3: twin (such as b)",
        "left out 2: broken (such as a)",
        "left out 1: empty (such as f)",
    ]


def test_the_number_of_lines_is_limited_and_there_are_none_without_a_reason():
    assert len(summary_lines([("file", f"reason {number}") for number in range(30)])) == MAX_REASONS
    assert summary_lines([]) == []
