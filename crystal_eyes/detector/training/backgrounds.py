"""Backgrounds without heads: colors and shapes, patterns, windows of programs."""

import math

import cv2
import numpy as np


def synthetic_background(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """uint8 RGB [height, width, 3]: flat, a gradient, clouds of two colors, full of shapes and lines, a pattern, or like a
    window of a program.
    """
    if rng.random() < 0.2:
        return pattern(rng, width, height) if rng.random() < 0.6 else interface(rng, width, height)
    first, second = rng.integers(0, 256, (2, 3)).astype(np.float32)
    kind = rng.integers(0, 5)
    if kind == 0:
        shade = 255 - rng.integers(0, 40) * np.ones(3) if rng.random() < 0.5 else first
        picture = np.full((height, width, 3), shade, np.uint8)
    else:
        direction = rng.uniform(0, 2 * math.pi)
        x, y = np.meshgrid(np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32))
        mix = np.clip(0.5 + 0.6 * (x * math.cos(direction) + y * math.sin(direction)), 0, 1)
        if kind == 1:  # clouds
            coarse = rng.random((rng.integers(3, 12), rng.integers(3, 12))).astype(np.float32)
            mix = np.clip(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)
        picture = (first + mix[..., None] * (second - first)).astype(np.uint8)
    for _ in range(rng.integers(10, 60) if kind >= 3 else 0):
        color, (px, py) = rng.integers(0, 256, 3).tolist(), (rng.random(2) * (width, height)).astype(int).tolist()
        reach = (max(width, height) * rng.uniform(0.01, 0.15, 2)).astype(int).tolist()
        form = rng.integers(0, 4)
        if form == 0:
            cv2.ellipse(picture, (px, py), reach, rng.uniform(0, 180), 0, 360, color, -1, cv2.LINE_AA)
        elif form == 1:
            cv2.rectangle(picture, (px, py), (px + reach[0], py + reach[1]), color, -1)
        elif form == 2:
            points = (rng.normal(0, 1, (rng.integers(3, 8), 2)) * reach + (px, py)).astype(np.int32)
            cv2.fillPoly(picture, [points], color, cv2.LINE_AA)
        else:
            cv2.line(picture, (px, py), (px + 3 * reach[0], py + 3 * reach[1]), color, int(rng.integers(1, 8)), cv2.LINE_AA)
    return picture


def pattern(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """uint8 RGB [height, width, 3]: a tile, repeated: checks, stripes, dots, rings, roses, ovals with two dots, or letters."""
    side, colors = int(rng.integers(12, 160)), rng.integers(0, 256, (4, 3)).tolist()
    tile = np.full((side, side, 3), colors[0], np.uint8)
    middle, kind = side // 2, rng.integers(0, 7)
    if kind == 0:
        tile[:middle, :middle] = tile[middle:, middle:] = colors[1]
    elif kind == 1:
        for color in colors[1:]:
            start = int(rng.integers(0, side))
            tile[:, start : start + side // 5 + 1] = color
    elif kind in (2, 3):  # filled or not
        for color, share in zip(colors[1:], (0.45, 0.3, 0.15)):
            thickness = -1 if kind == 2 else max(1, side // 16)
            cv2.circle(tile, (middle, middle), int(share * side), color, thickness, cv2.LINE_AA)
    elif kind == 4:
        for ring in (0.45, 0.36, 0.27, 0.18, 0.09):
            turn, petals = rng.uniform(0, 360), int(rng.integers(4, 9))
            for petal in range(petals):
                angle = math.radians(turn + 360 * petal / petals)
                at = (int(middle + ring * side * 0.6 * math.cos(angle)), int(middle + ring * side * 0.6 * math.sin(angle)))
                color = np.clip(np.array(colors[1]) * rng.uniform(0.7, 1.2), 0, 255).astype(int).tolist()
                cv2.circle(tile, at, max(1, int(ring * side * 0.45)), color, -1, cv2.LINE_AA)
                cv2.circle(tile, at, max(1, int(ring * side * 0.45)), colors[2], 1, cv2.LINE_AA)
    elif kind == 5:
        cv2.ellipse(tile, (middle, middle), (int(0.4 * side), int(0.3 * side)), 90, 0, 360, colors[1], -1, cv2.LINE_AA)
        for shift in (-side // 8, side // 8):
            cv2.circle(tile, (middle + shift, middle), max(1, side // 20), colors[2], -1, cv2.LINE_AA)
    else:
        letter = chr(int(rng.integers(33, 127)))
        cv2.putText(tile, letter, (side // 8, side * 7 // 8), int(rng.integers(0, 8)), side / 28, colors[1], 1 + side // 12, 16)
    repeated = np.tile(tile, (-(-height // side) + 1, -(-width // side) + 1, 1))
    x, y = rng.integers(0, side, 2)
    return np.ascontiguousarray(repeated[y : y + height, x : x + width])


def interface(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """uint8 RGB [height, width, 3]: panels with icons, buttons and lines like text."""
    picture = np.full((height, width, 3), rng.integers(0, 256, 3), np.uint8)
    long = max(width, height)
    for _ in range(rng.integers(3, 14)):
        x, y = int(rng.uniform(-0.1, 0.9) * width), int(rng.uniform(-0.1, 0.9) * height)
        w, h = (int(side * rng.uniform(0.05, 0.6)) + 2 for side in (width, height))
        color, ink, icon = rng.integers(0, 256, (3, 3)).tolist()
        cv2.rectangle(picture, (x, y), (x + w, y + h), color, -1)
        cv2.rectangle(picture, (x, y), (x + w, y + h), ink, int(rng.integers(1, 4)))
        step, content = int(long * rng.uniform(0.02, 0.12)) + 3, rng.integers(0, 3)
        for top in range(y + step // 3, y + h - step, step):
            if content == 0:  # text
                end = x + int(w * rng.uniform(0.3, 0.95))
                cv2.line(picture, (x + step // 3, top + step // 2), (end, top + step // 2), ink, max(1, step // 5))
                continue
            for left in range(x + step // 3, x + w - step, step):
                middle, reach = (left + step // 2, top + step // 2), max(1, int(0.4 * step))
                if content == 1:
                    cv2.circle(picture, middle, reach, icon, -1, cv2.LINE_AA)
                    cv2.circle(picture, middle, max(1, reach // 2), ink, max(1, reach // 5), cv2.LINE_AA)
                else:
                    cv2.rectangle(picture, (left, top), (left + 2 * reach, top + 2 * reach), icon, -1)
                    cv2.line(picture, (left, top), middle, ink, max(1, reach // 4), cv2.LINE_AA)
    return picture
