"""The answer for one head, as data and as a sentence."""

from dataclasses import asdict, dataclass
from typing import Any

from crystal_eyes.recognizer.calibration import verdict


@dataclass(frozen=True)
class Candidate:
    character: str
    series: str  # "" where unknown
    # calibrated for as many heads of strangers as of known characters; over all characters it sums to 1 - Head.nobody
    probability: float
    original_name: str = ""  # in the character's own script, "" where unknown


@dataclass(frozen=True)
class Reference:
    """A reference head of the bundle's gallery."""

    character: str
    series: str
    similarity: float  # cosine, from -1 to 1
    thumbnail: bytes  # WebP; empty in a bundle without pictures
    original_name: str = ""


@dataclass(frozen=True)
class LikelySeries:
    """The series that a head's character most likely comes from."""

    name: str
    probability: float  # the sum over all of its characters in the catalogue, not only over the candidates


@dataclass(frozen=True)
class Head:
    """A head found in a picture, and the characters that it may show."""

    box: tuple[float, float, float, float]  # left, top, right, bottom in pixels of the upright picture
    confidence: float  # probability that this is a head, of a calibrated detector; 1 where the caller said that it is one
    whole_picture: bool  # the picture is itself a head crop
    monochrome: bool  # line art or grayscale
    candidates: tuple[Candidate, ...]  # five, best first; fewer if the catalogue has fewer characters
    nearest: tuple[Reference, ...]  # most similar first, one per character
    unlikeness: float  # dissimilarity to the trained characters, in units of this bundle; larger: less similar
    p_value: float  # conformal: share of heads of known characters, among those named right, that are at least as dissimilar;
    # an enrolled character is compared with the heads of others that were enrolled from as few heads
    stranger_share: float  # share of heads of held-out characters that are at most as dissimilar; 1.0 if there are none
    series: LikelySeries | None = None  # None: no character of the catalogue has a series
    nobody: float = 0.0  # probability that it is no character of the catalogue

    @property
    def verdict(self) -> str:
        """known, unsure or unknown: see calibration.verdict."""
        return verdict(self.p_value, self.stranger_share)

    def sentence(self) -> str:
        """The verdict in words. It is about this catalogue only and makes no legal claim."""
        sketch = " Line art and gray pictures give less reliable answers than colored ones." if self.monochrome else ""
        if self.verdict == "unknown":
            return (
                f"Unlike everything in this catalogue: {_of_100(self.p_value)} in 100 heads that it names right are this "
                f"dissimilar. The nearest character is {who(self.nearest[0])}.{sketch}"
            )
        if self.verdict == "known":
            return (
                f"Close to {who(self.candidates[0])}: {_of_100(self.stranger_share)} in 100 heads of characters outside this "
                f"catalogue come this close to a character in it.{sketch}"
            )
        return (
            f"Not certain: this may be {who(self.candidates[0])} or a character outside this catalogue; "
            f"{_of_100(self.stranger_share)} in 100 heads of characters outside it come as close to one in it.{sketch}"
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON; the thumbnails are left out."""
        fields = asdict(self) | {"verdict": self.verdict, "sentence": self.sentence()}
        fields["nearest"] = [{k: v for k, v in one.items() if k != "thumbnail"} for one in fields["nearest"]]
        return fields


def who(one: Candidate | Reference) -> str:
    """The character and, unless the name already says it, the series."""
    return full_name(one.character, one.series)


def full_name(character: str, series: str) -> str:
    return character if not series or f"({series})" in character else f"{character} ({series})"


def _of_100(share: float) -> str:
    return "fewer than 1" if share < 0.01 else f"{100 * share:.0f}"
