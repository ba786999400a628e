"""The views that the network is trained on."""

import numpy as np
import pytest
from PIL import Image

from crystal_eyes.data.catalogue import Catalogue, write
from crystal_eyes.encoder.dataset import DecodedHeads, HeadViews
from crystal_eyes.images import load_head


def test_heads_without_a_seed_are_what_serving_sees(catalogue):
    table = catalogue.table()
    heads = HeadViews(DecodedHeads(catalogue, table), [5, 0, 7], 32)
    assert len(heads) == 3
    for position, row in enumerate([5, 0, 7]):
        picture, found = heads[position]
        assert found == row
        place = table.loc[row, ["offset", "length", "digest"]]
        np.testing.assert_array_equal(picture, load_head(catalogue.read(*place), 32))


def test_an_augmentation_depends_on_seed_epoch_and_position_only(catalogue):
    def heads(*seed):
        return HeadViews(DecodedHeads(catalogue, catalogue.table()), [3, 3, 4], 32, seed)

    assert (heads(0, 1)[1][0] == heads(0, 1)[1][0]).all()
    views = [heads(0, 1)[0][0], heads(0, 1)[1][0], heads(0, 2)[0][0], heads(1, 1)[0][0]]
    assert len({view.tobytes() for view in views}) == 4


def test_transparent_heads_are_shown_on_white_when_not_augmented(tmp_path, catalogue):
    Image.new("RGBA", (20, 20), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    write(tmp_path / "c", catalogue.table().head(1), [(tmp_path / "clear.png").read_bytes()])
    clear = Catalogue(tmp_path / "c")
    assert (HeadViews(DecodedHeads(clear, clear.table()), [0], 16)[0][0] == 255).all()


class Counted(Catalogue):
    """Counts what is read."""

    def __init__(self, folder):
        super().__init__(folder)
        self.reads = 0

    def read(self, *place) -> bytes:
        self.reads += 1
        return super().read(*place)


@pytest.mark.parametrize(("room", "reads"), [(0, 12), (3 * 4 * 48 * 48, 9), (10**9, 6)])
def test_pictures_are_decoded_once_while_they_fit_into_the_cache(catalogue_folder, room, reads):
    counted = Counted(catalogue_folder)
    kept, fresh = DecodedHeads(counted, counted.table(), room), DecodedHeads(Catalogue(catalogue_folder), counted.table())
    for row in [0, 1, 2, 3, 4, 5] * 2:
        assert kept[row].tobytes() == fresh[row].tobytes()
    assert counted.reads == reads


def test_views_are_the_same_whether_pictures_are_kept_or_not(catalogue):
    order, table = [3, 3, 4], catalogue.table()
    views = [HeadViews(DecodedHeads(catalogue, table, room), order, 32, (0, 1), "serving") for room in (0, 10**9)]
    for position in [0, 1, 2, 0, 1]:
        np.testing.assert_array_equal(views[0][position][0], views[1][position][0])


def test_framing_does_not_change_the_views(catalogue):
    order, table = [3, 4], catalogue.table()
    both, views = (HeadViews(DecodedHeads(catalogue, table), order, 32, (0, 1), "serving", framed) for framed in (True, False))
    for position, row in enumerate(order):
        (framed, seen), found = both[position]
        assert found == row and framed.shape == (32, 32, 3)
        np.testing.assert_array_equal(seen, views[position][0])
