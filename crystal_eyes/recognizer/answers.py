"""What is answered about one head, as data and in words."""

from dataclasses import asdict, dataclass
from typing import Any

LEVEL = 0.05  # p-values and shares up to it count as rare


@dataclass(frozen=True)
class Candidate:
    character: str
    series: str  # "" where unknown
    probability: float  # calibrated; of all candidates in the catalogue together 1


@dataclass(frozen=True)
class Reference:
    """A head of the bundle's gallery."""

    character: str
    series: str
    similarity: float  # cosine, from -1 to 1
    thumbnail: bytes  # WebP


@dataclass(frozen=True)
class Head:
    box: tuple[float, float, float, float]  # left, top, right, bottom in pixels of the upright picture
    confidence: float  # of the detector that this is a head
    whole_picture: bool  # the picture was a head crop already
    monochrome: bool  # line art or greyscale
    candidates: tuple[Candidate, ...]  # five, best first; fewer where the catalogue has fewer
    nearest: tuple[Reference, ...]  # most similar first, one a character
    unlikeness: float  # how unlike everything known, in units of this bundle; larger: less alike
    p_value: float  # share of heads of known characters that look at least as unlike (conformal)
    stranger_share: float  # share of heads of characters kept apart that look at least as alike; 1.0 where none were

    @property
    def verdict(self) -> str:
        """unknown: so unlike hardly any head of a known character is. known: so alike hardly any stranger is. Else unsure."""
        if self.p_value <= LEVEL:
            return "unknown"
        return "known" if self.stranger_share <= LEVEL else "unsure"

    def sentence(self) -> str:
        """The verdict for a person. It speaks of this catalogue only and is no legal claim."""
        sketch = " Line art and grey pictures tell less than coloured ones." if self.monochrome else ""
        if self.verdict == "unknown":
            return (
                f"Unlike everything in this catalogue: {_of_100(self.p_value)} in 100 heads of its characters look so unlike "
                f"the others. The nearest is {who(self.nearest[0])}.{sketch}"
            )
        if self.verdict == "known":
            return (
                f"Close to {who(self.candidates[0])}: {_of_100(self.stranger_share)} in 100 heads of characters from outside "
                f"come so close to anybody in this catalogue.{sketch}"
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
    """The character and the series, unless the name says it already."""
    return one.character if not one.series or f"({one.series})" in one.character else f"{one.character} ({one.series})"


def _of_100(share: float) -> str:
    return "fewer than 1" if share < 0.01 else f"{100 * share:.0f}"
