"""What printing, drawing and saving do to a picture, and soft edges for cutouts."""

import cv2
import numpy as np

from crystal_eyes.detector.training.canvas import Cutout


def in_one_ink(picture: np.ndarray, rng: np.random.Generator, colored: bool) -> np.ndarray:
    """uint8 RGB [h, w, 3]: in black on white, or in a dark color on a light one."""
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32) / 255
    ink, paper = (rng.integers(0, 120, 3), rng.integers(140, 256, 3)) if colored else (np.zeros(3, int), np.full(3, 255))
    return np.broadcast_to(ink + gray * (paper - ink), (*picture.shape[:2], 3)).astype(np.uint8)


def line_art(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """uint8 RGB [h, w, 3]: dark lines where the picture has edges, on white."""
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    around = cv2.GaussianBlur(gray, (0, 0), float(rng.uniform(1.5, 4)))
    lines = cv2.divide(gray, np.maximum(around, 1), scale=255).astype(np.float32)
    steep = rng.uniform(1.5, 4)  # how dark an edge becomes
    lines = np.clip(255 - steep * (250 - lines), rng.integers(0, 90), 255)
    return np.repeat(lines.astype(np.uint8)[..., None], 3, axis=2)


def screentone(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """uint8 RGB [h, w, 3]: printed like a comic, gray levels as black dots, dark and light areas flat."""
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    height, width = gray.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    frequency = 2 * np.pi / rng.uniform(3, 7)
    dots = 64 * (np.cos(frequency * (x + y) / 1.414) + np.cos(frequency * (x - y) / 1.414))
    toned = np.where(gray > 190, 255, np.where(gray < 60, 0, np.clip(2.5 * (gray - 110 + dots) + 128, 0, 255)))
    toned = np.minimum(toned, line_art(picture, rng)[..., 0])
    return np.repeat(toned.astype(np.uint8)[..., None], 3, axis=2)


def worn(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """uint8 RGB [h, w, 3]: as if it had been saved small, or with strong compression."""
    if rng.random() < 0.5:
        height, width = picture.shape[:2]
        small = cv2.resize(picture, None, fx=(scale := rng.uniform(0.3, 0.8)), fy=scale, interpolation=cv2.INTER_AREA)
        return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(15, 60))])
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None  # it was just encoded
    return decoded


def with_soft_edge(cutout: Cutout, rng: np.random.Generator) -> Cutout:
    """A copy that fades out around the head's box, so that its edge says little about where a head is."""
    picture = cutout.picture.copy()
    height, width = picture.shape[:2]
    left, top, right, bottom = cutout.box
    reach = rng.uniform(1.02, 1.5, 2) * [(right - left) / 2, (bottom - top) / 2]
    x = np.abs(np.arange(width) + 0.5 - (left + right) / 2) / max(reach[0], 1)
    y = np.abs(np.arange(height) + 0.5 - (top + bottom) / 2) / max(reach[1], 1)
    power = rng.uniform(2, 5)  # 2: an ellipse; more: nearly a rectangle
    distance = (x[None] ** power + y[:, None] ** power) ** (1 / power)
    wave = cv2.resize(rng.normal(0, 0.06, (5, 5)), (width, height), interpolation=cv2.INTER_CUBIC)
    fade = np.clip((1 + wave - distance) / rng.uniform(0.02, 0.25) + 0.5, 0, 1)
    picture[..., 3] = np.rint(picture[..., 3] * fade)
    return Cutout(picture, cutout.box)


def without_surroundings(cutout: Cutout) -> Cutout | None:
    """A copy that shows only what belongs to the head, by its colors; None where that can't be told."""
    picture = cutout.picture
    height, width = picture.shape[:2]
    left, top, right, bottom = (round(side) for side in cutout.box)
    mask = np.full((height, width), cv2.GC_PR_BGD, np.uint8)
    mask[max(0, top) : bottom, max(0, left) : right] = cv2.GC_PR_FGD
    center, reach = ((left + right) // 2, (top + bottom) // 2), ((right - left) * 3 // 10, (bottom - top) * 3 // 10)
    cv2.ellipse(mask, center, reach, 0, 0, 360, cv2.GC_FGD, -1)
    mask[: max(1, top), :] = mask[:, : max(1, left - (right - left) // 8)] = mask[:, right + (right - left) // 8 :] = cv2.GC_BGD
    try:
        cv2.grabCut(picture[..., :3].copy(), mask, (0, 0, 0, 0), np.zeros((1, 65)), np.zeros((1, 65)), 2, cv2.GC_INIT_WITH_MASK)
    except cv2.error:
        return None
    shown = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD))
    inside = shown[max(0, top) : bottom, max(0, left) : right].mean()
    if not 0.55 < inside < 0.97:  # it lost the head, or found no background
        return None
    alpha = cv2.GaussianBlur(shown.astype(np.uint8) * 255, (0, 0), 0.8)
    return Cutout(np.dstack([picture[..., :3], np.minimum(alpha, picture[..., 3])]), cutout.box)
