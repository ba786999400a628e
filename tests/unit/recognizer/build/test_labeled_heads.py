import numpy as np

from tests.unit.recognizer.build.made_up import D, heads


def test_kinds_partition_the_heads_and_sketches_count_as_line_art():
    some = heads(0, 4, 5, seed=0)
    assert len(some.of_kind("colour").line) + len(some.of_kind("line").line) == 20
    assert not some.of_kind("colour").line.any() and some.of_kind("line").line.all()
    rows = np.array([7, 2])
    more = some.with_sketches(np.eye(2, D, dtype=np.float32), rows)
    assert len(more.line) == 22 and more.line[20:].all() and more.sketch[20:].all()
    assert more.characters[20:].tolist() == some.characters[rows].tolist() and more.embeddings[21, 1] == 1
    np.testing.assert_array_equal(more.sketch[:20], some.sketch)
    assert len(some.with_sketches(np.zeros((0, D), np.float32), np.zeros(0, int)).line) == 20
