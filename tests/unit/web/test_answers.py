import io

import pytest
from PIL import Image

from crystal_eyes.recognizer.finding import Search
from crystal_eyes.web.answers import WORK_SIDE, answer


class NoHeads:
    """Stands for a recognizer; keeps the size of the picture that it was given."""

    def find(self, picture: Image.Image, detail: str, head: bool) -> list:
        self.size, self.search = picture.size, Search(detail, head)
        return []

    def name_heads(self, found: list) -> list:
        return []


def png(width: int, height: int) -> bytes:
    out = io.BytesIO()
    Image.new("L", (width, height), 255).save(out, "PNG", compress_level=1)
    return out.getvalue()


@pytest.mark.parametrize(
    "size, searched",
    [
        ((800, 20_000), (800, 20_000)),  # a long page: its heads are as large as in the file
        ((9000, 500), (9000, 500)),
        ((6000, 3000), (WORK_SIDE, WORK_SIDE // 2)),
        ((1, 100_000), (1, 100_000)),
        ((640, 480), (640, 480)),
    ],
)
def test_a_strip_is_searched_at_its_size_other_large_pictures_are_scaled_down(size, searched):
    recognizer = NoHeads()
    found = answer(recognizer, "one", png(*size), 5, Search())
    assert (found.error, found.size, recognizer.size) == ("", size, searched)


def test_a_strip_of_the_largest_area_is_scaled_down_to_bounded_pixels():
    recognizer = NoHeads()
    assert answer(recognizer, "one", png(2000, 32_000), 5, Search()).error == ""
    assert recognizer.size[0] * recognizer.size[1] <= WORK_SIDE**2


@pytest.mark.parametrize("search", [Search(), Search("high"), Search(head=True)], ids=str)
def test_a_picture_is_searched_as_it_was_asked_for(search):
    recognizer = NoHeads()
    assert answer(recognizer, "one", png(64, 48), 5, search).error == "" and recognizer.search == search
