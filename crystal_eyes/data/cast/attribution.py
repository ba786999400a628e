"""The artists whose art the cast is drawn with: some of the styles' licenses (CC BY 4.0) require naming the artists."""

from typing import NamedTuple

from crystal_eyes.data.cast.styles import STYLES, definition


class Credit(NamedTuple):
    """Artist and license of one style, as the style's own metadata states them."""

    style: str
    title: str
    artist: str
    license: str
    license_url: str
    source_url: str


def credits() -> list[Credit]:
    """One for every style that the cast is drawn in."""
    rows = []
    for style in STYLES:
        meta = definition(style)[1]["meta"]
        license, source = meta["license"], meta["source"]
        rows.append(Credit(style, source["name"], meta["creator"]["name"], license["name"], license["url"], source["url"]))
    return rows


def credits_text() -> str:
    """A line for each style: title, artist, license."""
    return "\n".join(f"art: {one.title} by {one.artist}, {one.license} ({one.license_url})" for one in credits())
