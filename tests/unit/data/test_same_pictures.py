import time

import numpy as np
import pytest

from crystal_eyes.data.options import DUPLICATE_BITS
from crystal_eyes.data.same_pictures import COLORS, FLAT, MAX_GAIN, same_elsewhere


def drawn(count: int, characters: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random hashes, thumbnails and characters."""
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 2**63, (count, 2, 4), dtype=np.uint64)
    thumbnails = rng.integers(0, 256, (count, 16, 16, 3), dtype=np.uint8)
    return hashes, thumbnails, rng.integers(0, characters, count)


def naive(hashes: np.ndarray, thumbnails: np.ndarray, characters: np.ndarray) -> list[int]:
    def same(a: int, b: int) -> bool:
        turns = ((hashes[a, 0], hashes[b, 0]), (hashes[a, 1], hashes[b, 0]), (hashes[a, 0], hashes[b, 1]))
        near = any(sum((int(x) ^ int(y)).bit_count() for x, y in zip(*turn)) <= DUPLICATE_BITS for turn in turns)
        views = (thumbnails[a].astype(int), thumbnails[a][:, ::-1].astype(int))
        return near and any(abs(view - thumbnails[b]).max() <= COLORS or relit(view, thumbnails[b]) for view in views)

    def relit(*two: np.ndarray) -> bool:
        if min(one.std(axis=(0, 1)).max() for one in two) < FLAT:
            return False
        dull, other = sorted((one.ravel().astype(float) for one in two), key=np.std)
        gain, offset = np.polyfit(dull, other, 1)
        return bool(0 < gain <= MAX_GAIN and abs(gain * dull + offset - other).max() <= COLORS)

    found = []
    for one in range(len(hashes)):
        others = [other for other in range(len(hashes)) if characters[other] != characters[one]]
        found.append(next((other for other in others if same(one, other)), -1))
    return found


@pytest.mark.parametrize("seed", range(8))
def test_it_finds_what_a_naive_loop_finds(seed):
    rng = np.random.default_rng(seed)
    hashes, thumbnails, characters = drawn(60, 5, seed)
    for _ in range(40):  # copies with a few other bits and colors, some mirrored, some changed too much
        source, target = rng.integers(0, 60, 2)
        side = rng.integers(0, 2)
        hashes[target, 0] = hashes[source, side]
        for bit in rng.integers(0, 256, rng.integers(0, DUPLICATE_BITS + 4)):
            hashes[target, 0, bit // 64] ^= np.uint64(1) << np.uint64(bit % 64)
        copy = thumbnails[source].astype(int)[:, :: 1 - 2 * int(side)]
        if rng.random() < 0.5:
            copy = copy * rng.uniform(0.3, 1) + rng.uniform(0, 60)
        thumbnails[target] = (copy + rng.integers(-1, 2, copy.shape) * rng.integers(0, COLORS + 3)).clip(0, 255)
    expected = naive(hashes, thumbnails, characters)
    assert same_elsewhere(hashes, thumbnails, characters).tolist() == expected
    assert -1 in expected and max(expected) >= 0


def test_a_picture_that_many_characters_share_is_found_for_each_of_them():
    hashes, thumbnails, _ = drawn(1, 1)
    found = same_elsewhere(np.repeat(hashes, 30, 0), np.repeat(thumbnails, 30, 0), np.arange(30) // 3)
    assert (found >= 0).all()


def test_a_picture_that_is_brighter_darker_or_duller_is_the_same_but_a_palette_swap_is_not():
    hashes, thumbnails, _ = drawn(1, 1)

    def found(changed: np.ndarray) -> bool:
        both = np.stack([thumbnails[0], changed.clip(0, 255).astype(np.uint8)])
        return bool((same_elsewhere(np.repeat(hashes, 2, 0), both, np.arange(2)) >= 0).all())

    one = thumbnails[0].astype(float)
    assert found(one * 0.5) and found(one * 0.7 + 70) and found(128 + 0.6 * (one - 128)[:, ::-1])
    assert not found(one[:, :, ::-1]) and not found(255 - one) and not found(one * [1, 1, 0.5]) and not found(one * 0.2)


def test_pictures_of_one_color_each_are_not_the_same_where_their_colors_differ():
    colors = np.array([[200, 100, 50], [100, 50, 25], [20, 200, 20]], np.uint8)[:, None, None]
    found = same_elsewhere(np.zeros((3, 2, 4), np.uint64), colors.repeat(16, 1).repeat(16, 2), np.arange(3))
    assert (found < 0).all()


def test_a_great_dataset_takes_seconds():
    hashes, thumbnails, characters = drawn(20_000, 1000)
    started = time.monotonic()
    assert (same_elsewhere(hashes, thumbnails, characters) < 0).all()
    assert time.monotonic() - started < 30


def test_thousands_of_pictures_of_one_color_take_seconds():
    colors = np.random.default_rng(0).integers(0, 256, (2000, 1, 1, 3), dtype=np.uint8)
    started = time.monotonic()
    hashes = np.zeros((2000, 2, 4), np.uint64)
    found = same_elsewhere(hashes, colors.repeat(16, 1).repeat(16, 2), np.arange(2000) // 4)
    assert (found >= 0).any() and time.monotonic() - started < 30
