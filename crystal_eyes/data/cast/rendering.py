"""Pictures of a character: the head composed by dicebear and rendered by resvg, on a background, with lighting."""

import io
import math
import random
import re
from functools import cache

import dicebear
import numpy as np
from PIL import Image, ImageDraw
from resvg_py import svg_to_bytes

from crystal_eyes.data.cast.characters import Character
from crystal_eyes.data.cast.styles import HAIR, SKIN, STYLES, definition, variants

CANVAS = 160  # side of the background in px, which spans twice the head's frame


def upright_head(
    character: Character, rng: random.Random, size: int, line_art: bool = False
) -> tuple[Image.Image, tuple[int, int, int, int]]:
    """A head that is not tilted, in some mood, without a background; and its box: left, top, right, bottom in pixels.

    The picture is RGBA, cut to its alpha; size: about its longer side in pixels. Styles without outlines ignore line_art.
    The box ends at the chin and leaves out necks, hair tips, twin tails and tufts: a row or column at its edge shows the
    head on a fourth of its length or more.
    """
    drawn = _without_background(character, _head(character, rng, line_art, tilted=False), size, line_art)
    canvas, (_, y, side) = definition(character.style)[1]["canvas"]["height"], _frame(character)
    chin = round((STYLES[character.style].chin * canvas - y + 0.75 * side) / (1.5 * side) * drawn.height)
    shown = np.asarray(drawn.getchannel("A"))[:chin] > 127
    columns = np.flatnonzero(shown.sum(axis=0) >= 0.25 * shown.any(axis=1).sum())
    left, right = int(columns[0]), int(columns[-1]) + 1
    top = int(np.flatnonzero(shown[:, left:right].mean(axis=1) >= 0.25)[0])
    x0, y0, x1, y1 = _visible(drawn)
    return drawn.crop((x0, y0, x1, y1)), (left - x0, top - y0, right - x0, min(chin, y1) - y0)


def _visible(drawn: Image.Image) -> tuple[int, int, int, int]:
    """The box of all pixels of a head on nothing that are not fully transparent."""
    box = drawn.getchannel("A").getbbox()
    assert box is not None  # a head is never empty
    return box


def _without_background(character: Character, head: str, size: int, line_art: bool) -> Image.Image:
    x, y, side = _frame(character)
    reach = side * 0.75  # half of the canvas: leaves room for the corners of a tilted head
    drawn = _render(head, (x - reach, y - reach, 2 * reach, 2 * reach), (round(1.5 * size), round(1.5 * size)))
    if line_art and STYLES[character.style].line_art_hair:
        drawn = drawn.convert("LA").convert("RGBA")  # flowers and mouths have colors of their own
    return drawn


def draw_picture(character: Character, drawing: random.Random, cut: random.Random) -> Image.Image:
    """One picture of the character, 132 to 152 px a side: RGB; L where it is line art or gray; plus A without a background.

    drawing: decides mood, background and lighting; cut: decides the crop and its size.
    """
    style = STYLES[character.style]
    chance = drawing.random()
    line_art = chance < 0.09 and style.line_art_hair is not None
    gray, bare = line_art or chance < 0.13, chance > 0.98
    head = _head(character, drawing, line_art)
    x, y, side = _frame(character)
    paper = _background(drawing, pale=line_art)
    veil = _ramp(drawing) * drawing.choice((0, 0, 90, 130))
    veil_shade = drawing.choice((0, 0, 255))
    light = _light(drawing, tint=not gray)

    size = cut.randint(132, 152), cut.randint(132, 152)
    unit = side * cut.uniform(0.68, 1.04) / math.sqrt(size[0] * size[1])  # canvas units of the style in a pixel
    width, height = unit * size[0], unit * size[1]
    left = x + side * cut.uniform(-0.06, 0.06) - width / 2
    top = y + side * cut.uniform(-0.06, 0.06) - height / 2
    drawn = _render(head, (left, top, width, height), size)
    if not bare:
        scale = CANVAS / (2 * side)
        start = left - x + side, top - y + side
        box = scale * start[0], scale * start[1], scale * (start[0] + width), scale * (start[1] + height)
        ground = paper.resize(size, Image.Resampling.BILINEAR, box)
        ground.paste(drawn, mask=drawn)
        mask = Image.fromarray(veil.astype(np.uint8)).resize(size, Image.Resampling.BILINEAR, box)
        ground.paste((veil_shade,) * 3, (0, 0, *size), mask)
        drawn = ground
    if gray:
        drawn = drawn.convert("LA" if bare else "L")
    return drawn.point(light[: 256 if gray else 768] + (list(range(256)) if bare else []))


def _head(character: Character, rng: random.Random, line_art: bool, tilted: bool = True) -> str:
    """The character in some mood, mirrored or not, tilted around the center of its frame, as SVG without the root element."""
    style, components = STYLES[character.style], definition(character.style)[1]["components"]
    shown = dict(character.parts)
    for part in components:
        if part in style.moods:
            if rng.random() < 0.3:
                shown[part] = rng.choice(style.moods[part])
        elif part == "glasses":
            shown[part] = rng.choice(variants(character.style, part)) if rng.random() < 0.12 else None
        elif part not in shown:
            shown[part] = rng.choice(variants(character.style, part))
    colors = {"hair": character.hair, "skin": character.skin, "eyes": character.eyes}
    colors["glasses"] = rng.choice(("000000", "000000", "303a70", "7a2030"))
    colors["ink"] = colors["outline"] = rng.choice(("000000", "000000", "2a1a1a", "1c1c38"))
    if line_art and style.line_art_hair:
        colors = {"hair": style.line_art_hair, "skin": "ffffff"} | dict.fromkeys(style.white, "ffffff")
    x, y, _ = _frame(character)
    mirror, tilt = rng.choice((1, -1)), max(-25.0, min(25.0, rng.gauss(0, 9))) * tilted
    move = f"translate({x:.2f} {y:.2f}) rotate({tilt:.2f}) scale({mirror} 1) translate({-x:.2f} {-y:.2f})"
    return f'<g transform="{move}">{_compose(character.style, shown, colors)}</g>'


def _compose(style: str, shown: dict[str, str | None], colors: dict[str, str]) -> str:
    built, content = definition(style)
    options: dict[str, str | int] = {"seed": ""}  # all choices are made below: the seed has no effect
    for part in content["components"]:
        variant = shown.get(part)
        options[f"{part}Probability"] = 0 if variant is None else 100
        if variant is not None:
            options[f"{part}Variant"] = variant
    options |= {f"{name}Color": value for name, value in colors.items() if name in content["colors"]}
    svg = dicebear.Avatar(built, options).to_string()
    # without the root and its clip, which would cut long hair at the canvas; what <metadata> says is in credits()
    body = re.sub(r"<metadata.*?</metadata>|<!--.*?-->", "", svg[svg.index(">") + 1 : -len("</svg>")], flags=re.DOTALL)
    return re.sub(r' clip-path="url\(#clip-[^"]*"', "", body)


@cache
def _frame(character: Character) -> tuple[float, float, float]:
    """(center x, center y, longer side) of the upright head with its hair, in the units of the style's canvas."""
    canvas = definition(character.style)[1]["canvas"]["width"]
    body = _compose(character.style, dict(character.parts), {})
    start, extent, pixels = -0.25 * canvas, 1.5 * canvas, 96
    left, top, right, bottom = _visible(_render(body, (start, start, extent, extent), (pixels, pixels)))
    unit = extent / pixels
    middle = start + (left + right) / 2 * unit, start + (top + bottom) / 2 * unit
    return *middle, max(right - left, bottom - top) * unit


def _render(body: str, view: tuple[float, ...], size: tuple[int, int]) -> Image.Image:
    box, (width, height) = " ".join(f"{value:.2f}" for value in view), size
    root = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" preserveAspectRatio="none" fill="none"'
    svg = f'{root} width="{width}" height="{height}">{body}</svg>'
    png = svg_to_bytes(svg_string=svg, width=width, height=height, skip_system_fonts=True)
    return Image.open(io.BytesIO(png)).convert("RGBA")


def _color(rng: random.Random, pale: bool) -> tuple[int, ...]:
    if pale:
        return (rng.randint(190, 255),) * 3
    # Half of the backgrounds have hair and skin colors, so that color alone says little about the character.
    return tuple(bytes.fromhex(rng.choice(HAIR + SKIN) if rng.random() < 0.5 else f"{rng.getrandbits(24):06x}"))


def _ramp(rng: random.Random) -> np.ndarray:
    """float32 [CANVAS, CANVAS] that rises from 0 to 1 in some direction."""
    turn = rng.uniform(0, 2 * math.pi)
    along = np.linspace(-1, 1, CANVAS, dtype=np.float32)
    return np.clip(along * math.cos(turn) + along[:, None] * math.sin(turn) + 0.5, 0, 1)


def _background(rng: random.Random, pale: bool) -> Image.Image:
    """Flat, a gradient, stripes, dots or busy shapes: RGB, CANVAS px a side."""
    if rng.random() < 0.2:  # blank paper, as many drawings have
        return Image.new("RGB", (CANVAS, CANVAS), _color(rng, pale=True))
    first, second = (np.array(_color(rng, pale), np.float32) for _ in range(2))
    kind = rng.choice(("flat", "flat", "gradient", "gradient", "stripes", "dots", "shapes", "shapes"))
    if kind in ("flat", "shapes"):
        paper = Image.new("RGB", (CANVAS, CANVAS), tuple(int(v) for v in first))
        pen = ImageDraw.Draw(paper)
        for _ in range(rng.randint(6, 16) if kind == "shapes" else 0):
            x, y, reach = rng.uniform(0, CANVAS), rng.uniform(0, CANVAS), CANVAS * rng.uniform(0.04, 0.16)
            if rng.random() < 0.4:
                pen.ellipse((x - reach, y - reach * 0.7, x + reach, y + reach * 0.7), fill=_color(rng, pale))
            else:
                pen.regular_polygon((x, y, reach), rng.randint(3, 6), rng.randint(0, 89), fill=_color(rng, pale))
        return paper
    if kind == "gradient":
        mix = _ramp(rng)
    else:
        turn, step = rng.uniform(0, math.pi), CANVAS / rng.randint(8, 28)
        place = np.arange(CANVAS, dtype=np.float32)
        across = (place * math.cos(turn) + place[:, None] * math.sin(turn)) % step / step - 0.5
        along = (place[:, None] * math.cos(turn) - place * math.sin(turn)) % step / step - 0.5
        mix = (across > 0 if kind == "stripes" else across**2 + along**2 < 0.07).astype(np.float32)
    return Image.fromarray((first + mix[..., None] * (second - first)).astype(np.uint8))


def _light(rng: random.Random, tint: bool) -> list[int]:
    """Lookup tables of three bands, 768 levels: brightness, contrast and, with tint, a color cast."""
    strength = rng.choice((0.3, 0.3, 1.0))  # one picture in three has strong lighting
    gamma, contrast = 1 + strength * rng.uniform(-0.28, 0.35), 1 + strength * rng.uniform(-0.35, 0.1)
    curve = 0.5 + contrast * (np.linspace(0, 1, 256) ** gamma - 0.5) + strength * rng.uniform(-0.06, 0.1)
    gains = np.array([1 + strength * rng.uniform(-0.24, 0.1) if tint else 1.0 for _ in range(3)])
    return np.clip(np.rint(255 * gains[:, None] * curve), 0, 255).astype(int).ravel().tolist()
