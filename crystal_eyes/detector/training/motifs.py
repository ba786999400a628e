"""Drawn things that are no heads but round, or of two colors with dots, as heads are: flowers, wheels, bottles, leaves."""

import math

import cv2
import numpy as np

SIDE = 160  # pixels of a motif's picture
MIDDLE = (SIDE // 2, SIDE // 2)
REACH = SIDE * 0.45


def motif(rng: np.random.Generator) -> np.ndarray:
    """uint8 RGBA [SIDE, SIDE, 4]: one thing on a transparent ground, with or without an outline."""
    picture, shape = np.zeros((SIDE, SIDE, 3), np.uint8), np.zeros((SIDE, SIDE), np.uint8)
    colors = rng.integers(0, 256, (3, 3)).tolist()
    draw = (_flower, _wheel, _bottle, _leaves, _ball, _star)[int(rng.integers(0, 6))]
    draw(picture, shape, rng, colors)
    if rng.random() < 0.5:
        outline = np.asarray(cv2.dilate(shape, np.ones((3, 3), np.uint8), iterations=int(rng.integers(1, 4))), np.uint8)
        ink = rng.integers(0, 90, 3) if rng.random() < 0.7 else rng.integers(200, 256, 3)
        picture[(outline > 0) & (shape == 0)] = ink
        shape = outline
    picture[shape == 0] = 0
    return np.dstack([picture, shape])


def _fill(picture: np.ndarray, shape: np.ndarray, points: np.ndarray, color: list[int]) -> None:
    cv2.fillPoly(picture, [points.astype(np.int32)], color, cv2.LINE_AA)
    cv2.fillPoly(shape, [points.astype(np.int32)], 255)


def _ellipse(picture: np.ndarray, shape: np.ndarray, center: tuple, reach: tuple, angle: float, color: list[int]) -> None:
    place, size = tuple(int(v) for v in center), tuple(max(1, int(v)) for v in reach)
    cv2.ellipse(picture, place, size, angle, 0, 360, color, -1, cv2.LINE_AA)
    cv2.ellipse(shape, place, size, angle, 0, 360, 255, -1)


def _around(distance: float, angle: float) -> tuple[float, float]:
    return MIDDLE[0] + distance * math.cos(angle), MIDDLE[1] + distance * math.sin(angle)


def _flower(picture: np.ndarray, shape: np.ndarray, rng: np.random.Generator, colors: list) -> None:
    petals, turn = int(rng.integers(4, 13)), rng.uniform(0, 2 * math.pi)
    length, width = REACH * rng.uniform(0.35, 0.5), REACH * rng.uniform(1.0, 1.6) / petals
    for petal in range(petals):
        angle = turn + 2 * math.pi * petal / petals
        place = _around(REACH - length, angle)
        _ellipse(picture, shape, place, (length, width), math.degrees(angle), colors[0])
        if rng.random() < 0.3:
            cv2.line(picture, MIDDLE, (int(place[0]), int(place[1])), colors[2], 2, cv2.LINE_AA)
    center = REACH * rng.uniform(0.2, 0.5)
    _ellipse(picture, shape, MIDDLE, (center, center), 0, colors[1])


def _wheel(picture: np.ndarray, shape: np.ndarray, rng: np.random.Generator, colors: list) -> None:
    """Also a clock, a medal, a drum or a cog, by its spokes and rim."""
    squeezed, tilt = REACH * rng.uniform(0.6, 1), rng.uniform(0, 180)
    teeth = int(rng.integers(6, 16)) if rng.random() < 0.4 else 0
    for tooth in range(teeth):
        place = _around(REACH * 0.85, 2 * math.pi * tooth / teeth)
        _ellipse(picture, shape, place, (REACH * 0.15, REACH * 0.15), 0, colors[2])
    for share, color in zip(sorted(rng.uniform(0.2, 0.9, rng.integers(2, 6)), reverse=True), colors * 2):
        _ellipse(picture, shape, MIDDLE, (REACH * share, squeezed * share), tilt, color)
    spokes = int(rng.integers(0, 13))
    for spoke in range(spokes):
        end = _around(squeezed * 0.8, 2 * math.pi * spoke / spokes)
        cv2.line(picture, MIDDLE, (int(end[0]), int(end[1])), colors[1], int(rng.integers(1, 6)), cv2.LINE_AA)


def _bottle(picture: np.ndarray, shape: np.ndarray, rng: np.random.Generator, colors: list) -> None:
    """Also a jar, a cup or a basket: a body with a neck and a label."""
    width, neck = REACH * rng.uniform(0.4, 0.95), REACH * rng.uniform(0.1, 0.5)
    shoulder, x = MIDDLE[1] - REACH * rng.uniform(-0.1, 0.8), MIDDLE[0]
    top, bottom = MIDDLE[1] - REACH, MIDDLE[1] + REACH
    body = [(x - neck, top), (x + neck, top), (x + neck, shoulder), (x + width, shoulder + REACH * 0.3),
            (x + width * 0.9, bottom), (x - width * 0.9, bottom), (x - width, shoulder + REACH * 0.3),
            (x - neck, shoulder)]  # fmt: skip
    _fill(picture, shape, np.array(body), colors[0])
    if rng.random() < 0.7:
        low, high = sorted(rng.uniform(0.1, 0.9, 2))
        cv2.rectangle(picture, (int(x - width * 0.8), int(MIDDLE[1] + REACH * low)),
                      (int(x + width * 0.8), int(MIDDLE[1] + REACH * high)), colors[1], -1)  # fmt: skip
    for _ in range(rng.integers(0, 6)):
        y = int(rng.uniform(MIDDLE[1], bottom))
        cv2.line(picture, (int(x - width * 0.5), y), (int(x + width * rng.uniform(0, 0.6)), y), colors[2], 2, cv2.LINE_AA)


def _leaves(picture: np.ndarray, shape: np.ndarray, rng: np.random.Generator, colors: list) -> None:
    for _ in range(rng.integers(3, 14)):
        angle, length = rng.uniform(0, 2 * math.pi), REACH * rng.uniform(0.5, 1)
        tip, side = np.array(_around(length, angle)), np.array(_around(length / 2, angle + rng.uniform(0.15, 0.5)))
        other = np.array(_around(length / 2, angle - rng.uniform(0.15, 0.5)))
        color = np.clip(np.array(colors[0]) * rng.uniform(0.6, 1.3), 0, 255).astype(int).tolist()
        _fill(picture, shape, np.array([MIDDLE, side, tip, other]), color)
        cv2.line(picture, MIDDLE, (int(tip[0]), int(tip[1])), colors[1], int(rng.integers(1, 4)), cv2.LINE_AA)


def _ball(picture: np.ndarray, shape: np.ndarray, rng: np.random.Generator, colors: list) -> None:
    """A ball, a fruit, a lamp or a pumpkin."""
    _ellipse(picture, shape, MIDDLE, (REACH, REACH * rng.uniform(0.7, 1)), 0, colors[0])
    for share in rng.uniform(-0.8, 0.8, rng.integers(0, 5)):
        arc = int(REACH * abs(share)), int(REACH)
        cv2.ellipse(picture, MIDDLE, arc, rng.uniform(-20, 20), 0, 360, colors[1], 2, cv2.LINE_AA)
    for _ in range(rng.integers(0, 5)):
        place = _around(REACH * rng.uniform(0, 0.8), rng.uniform(0, 2 * math.pi))
        reach = int(REACH * rng.uniform(0.05, 0.25))
        cv2.circle(picture, (int(place[0]), int(place[1])), reach, colors[2], -1, cv2.LINE_AA)


def _star(picture: np.ndarray, shape: np.ndarray, rng: np.random.Generator, colors: list) -> None:
    """A star, a badge, a splash or a gem."""
    points, inner, turn = int(rng.integers(3, 12)), REACH * rng.uniform(0.35, 0.9), rng.uniform(0, math.pi)
    for scale, color in ((1.0, colors[0]), (rng.uniform(0.4, 0.9), colors[1])):
        outline = [_around(scale * (inner if k % 2 else REACH), turn + math.pi * k / points) for k in range(2 * points)]
        _fill(picture, shape, np.array(outline), color)
