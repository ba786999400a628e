"""The answer about one head, as data and in words."""

from dataclasses import asdict, dataclass
from typing import Any

LEVEL = 0.05  # p-values and shares up to this count as rare


@dataclass(frozen=True)
class Candidate:
    character: str
    series: str  # "" where unknown
    probability: float  # calibrated; sums to 1 over all characters of the catalogue


@dataclass(frozen=True)
class Reference:
    """A reference head of the bundle's gallery."""

    character: str
    series: str
    similarity: float  # cosine, from -1 to 1
    thumbnail: bytes  # WebP


@dataclass(frozen=True)
class Head:
    """A head found in a picture, and who it is."""

    box: tuple[float, float, float, float]  # left, top, right, bottom in pixels of the upright picture
    confidence: float  # of the detector, that this is a head
    whole_picture: bool  # the picture is itself a head crop
    monochrome: bool  # line art or grayscale
    candidates: tuple[Candidate, ...]  # five, best first; fewer where the catalogue has fewer
    nearest: tuple[Reference, ...]  # most similar first, one a character
    unlikeness: float  # how unlike everything known, in units of this bundle; larger: less similar
    p_value: float  # conformal: share of heads of known characters at least as unlike
    stranger_share: float  # share of heads of held-out characters at most as unlike; 1.0 if there are none

    @property
    def verdict(self) -> str:
        """unknown: hardly any head of a known character is so unlike. known: hardly any stranger is so similar. Else unsure."""
        if self.p_value <= LEVEL:
            return "unknown"
        return "known" if self.stranger_share <= LEVEL else "unsure"

    def sentence(self) -> str:
        """The verdict in words. It is about this catalogue only and makes no legal claim."""
        sketch = " Line art and gray pictures tell less than colored ones." if self.monochrome else ""
        if self.verdict == "unknown":
            return (
                f"Unlike everything in this catalogue: {_of_100(self.p_value)} in 100 heads of its characters are this unlike "
                f"the others. The nearest is {who(self.nearest[0])}.{sketch}"
            )
        if self.verdict == "known":
            return (
                f"Close to {who(self.candidates[0])}: {_of_100(self.stranger_share)} in 100 heads of characters from outside "
                f"come this close to anybody in this catalogue.{sketch}"
            )
        return (
            f"Not certain: perhaps {who(self.candidates[0])}, perhaps nobody in this catalogue; "
            f"{_of_100(self.stranger_share)} in 100 heads of characters from outside come as close to somebody in it.{sketch}"
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON; the thumbnails are left out."""
        fields = asdict(self) | {"verdict": self.verdict, "sentence": self.sentence()}
        fields["nearest"] = [{k: v for k, v in one.items() if k != "thumbnail"} for one in fields["nearest"]]
        return fields


def who(one: Candidate | Reference) -> str:
    """The character and, unless the name already says it, the series."""
    return one.character if not one.series or f"({one.series})" in one.character else f"{one.character} ({one.series})"


def _of_100(share: float) -> str:
    return "fewer than 1" if share < 0.01 else f"{100 * share:.0f}"
