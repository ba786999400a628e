"""Embeddings of heads whose characters are known."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

COLOR, LINE = KINDS = ("colour", "line")  # keys of calibration.json and prefixes of metrics, so spelled as ever


@dataclass(frozen=True)
class LabeledHeads:
    """n heads: embeddings float32 [n, d], characters str [n].

    line: bool [n], line art or gray; sketch: bool [n], made from a colored head rather than drawn without color.
    """

    embeddings: np.ndarray
    characters: np.ndarray
    line: np.ndarray
    sketch: np.ndarray

    def __len__(self) -> int:
        return len(self.characters)

    def __getitem__(self, rows: np.ndarray) -> "LabeledHeads":
        return LabeledHeads(self.embeddings[rows], self.characters[rows], self.line[rows], self.sketch[rows])

    def changed(self, change: Callable[[np.ndarray], np.ndarray]) -> "LabeledHeads":
        """With other embeddings. change: float [n, d] of float [n, d]."""
        return replace(self, embeddings=change(self.embeddings))

    def with_sketches(self, embeddings: np.ndarray, rows: np.ndarray) -> "LabeledHeads":
        """These heads, then sketches made from some of them. embeddings: of the sketches, float32 [k, d]; rows: int [k]."""
        more = np.ones(len(rows), bool)
        return LabeledHeads(
            np.concatenate([self.embeddings, embeddings]),
            np.concatenate([self.characters, self.characters[rows]]),
            np.concatenate([self.line, more]),
            np.concatenate([self.sketch, more]),
        )

    def of_kind(self, kind: str) -> "LabeledHeads":
        """kind: COLOR or LINE."""
        return self[self.line == (kind == LINE)]

    def colored(self) -> "LabeledHeads":
        """The colored heads; all heads where none is colored (manga)."""
        return self.of_kind(COLOR) if not self.line.all() else self
