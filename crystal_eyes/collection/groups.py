"""The groups of a collection: found without labels, named, merged and split by the user."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from crystal_eyes.collection.decisions import Named, decide, decided, head_key, rename
from crystal_eyes.collection.grouping import CHOSEN_WITH, group
from crystal_eyes.collection.places import Place
from crystal_eyes.errors import DENIED, UserError
from crystal_eyes.names import normalize_name, normalize_text
from crystal_eyes.paths import replaced
from crystal_eyes.recognizer.naming import Naming, mean_embedding
from crystal_eyes.recognizer.thresholds import other_encoder

if TYPE_CHECKING:
    from crystal_eyes.collection.collection import Collection

SAVED = "groups.npy"  # int64 [2, n]: ids of heads, and their groups as they were shown last
ASKED = 20  # heads of a group, the most typical ones, from which a name is suggested
SURE = 0.5  # mean probability from which a suggested name is shown as one


@dataclass(frozen=True)
class Group:
    """Heads that are probably one character, the most typical first."""

    number: int  # the lowest id of its heads, by which it is called
    heads: np.ndarray  # int64 [n]: ids
    likeness: np.ndarray  # float32 [n]: cosine of each head to the mean of the group
    places: list[Place]
    boxes: np.ndarray  # float32 [n, 4]
    whole_picture: np.ndarray  # bool [n]
    name: str  # that the user gave, "" where there is none
    series: str
    suggestion: str  # character of the bundle that the heads resemble most
    suggested_series: str
    probability: float  # of the suggestion: mean over the most typical heads

    @property
    def title(self) -> str:
        """Its name, or a suggestion that is probable."""
        if self.name:
            return self.name
        return f"group {self.number}" + (f" (perhaps {self.suggestion})" if self.probability >= SURE else "")

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        suggestion = {"name": self.suggestion, "series": self.suggested_series, "probability": self.probability}
        heads = [
            place.as_dict() | {"head": int(id), "box": box.tolist(), "likeness": float(likeness)}
            for id, place, box, likeness in zip(self.heads, self.places, self.boxes, self.likeness)
        ]
        return {"group": self.number, "name": self.name, "series": self.series, "suggestion": suggestion, "heads": heads}


class _Heads:
    """All heads of a collection in memory: for 100,000 heads 250 MB."""

    def __init__(self, collection: "Collection"):
        batches = list(collection.batches())

        def joined(name: str, empty: np.ndarray) -> np.ndarray:
            return np.concatenate([getattr(batch, name) for batch in batches]) if batches else empty

        self.ids = joined("ids", np.zeros(0, np.int64))
        self.embeddings = joined("embeddings", np.zeros((0, collection.storage.dimensions), np.float32))
        self.boxes = joined("boxes", np.zeros((0, 4), np.float32))
        self.whole_picture = joined("whole_picture", np.zeros(0, bool))
        self.monochrome = joined("monochrome", np.zeros(0, bool))
        self.places = [place for batch in batches for place in batch.places]
        digests = [digest for batch in batches for digest in batch.digests]
        self.keys = [head_key(int(id), digest, box) for id, digest, box in zip(self.ids, digests, self.boxes)]


class Groups:
    """The groups of a collection, the largest first, as they are now or as they were shown last.

    Raises UserError where the collection's bundle has another encoder than it was made with.
    """

    def __init__(self, collection: "Collection", again: bool = True):
        """again: find the groups anew; otherwise those that were found last are read, unless it has other heads now."""
        self._collection, self._storage = collection, collection.storage
        self._all = _Heads(collection)
        self.decided, self._characters = decided(self._storage, self._all.keys)
        saved = None if again else self._read()
        self.labels = group(self._all.embeddings, self.decided) if saved is None else saved
        if saved is None:
            self._save()

    def close(self) -> None:
        self._collection.close()

    def __len__(self) -> int:
        return int(self.labels.max(initial=-1)) + 1

    @property
    def remark(self) -> str | None:
        """What to know of all groups, one line; None: nothing."""
        remedy = "most heads may be in no group, or groups hold several characters: look at them before you use them"
        return other_encoder("groups", CHOSEN_WITH, self._storage.encoder, remedy)

    @property
    def outliers(self) -> list[tuple[int, Place]]:
        """(id, place) of the heads that are in no group."""
        return [(int(self._all.ids[row]), self._all.places[row]) for row in np.flatnonzero(self.labels < 0)]

    def all(self) -> list[Group]:
        """All groups, with suggested names."""
        return self.part(0, None)

    def part(self, start: int, stop: int | None, naming: Naming | None = None) -> list[Group]:
        """Some of the groups. naming: suggests the names; None: that of the collection's recognizer."""
        order = np.argsort(self.labels, kind="stable")
        rows = np.split(order, np.flatnonzero(np.diff(self.labels[order])) + 1)
        groups = [one for one in rows if len(one) and self.labels[one[0]] >= 0]
        groups.sort(key=lambda one: (-len(one), self._all.ids[one[0]]))
        naming = naming or self._collection.recognizer.naming
        return [self._group(one, naming) for one in groups[start:stop]]

    def _group(self, rows: np.ndarray, naming: Naming) -> Group:
        heads = self._all
        likeness = heads.embeddings[rows] @ mean_embedding(heads.embeddings[rows])
        order = np.argsort(-likeness, kind="stable")
        rows, likeness = rows[order], likeness[order]
        asked = rows[:ASKED]
        answers = naming(heads.embeddings[asked], heads.monochrome[asked])
        probabilities = answers.probabilities.mean(axis=0)
        best = int(probabilities.argmax())
        suggested = naming.who(answers, best)
        numbers = self.decided[rows]
        named = self._characters.get(int(numbers.max(initial=-1)), Named("", ""))
        return Group(
            int(heads.ids[rows].min()), heads.ids[rows], likeness.astype(np.float32), [heads.places[row] for row in rows],
            heads.boxes[rows], heads.whole_picture[rows], *named, suggested.character, suggested.series,
            float(probabilities[best]),
        )  # fmt: skip

    def one(self, head: int, naming: Naming | None = None) -> Group:
        """The group that a head is in, by its id; a group's number is such an id. naming: as part.

        Raises UserError: there is no such head.
        """
        return self._group(self._rows(head), naming or self._collection.recognizer.naming)

    def name(self, number: int, name: str, series: str = "") -> Group:
        """Name a group. What had this name already is the same character. Raises UserError on a name that is not valid."""
        named = Named(normalize_name(name), normalize_text(series))
        rows = self._rows(number)
        others = {int(one) for one in self.decided[rows] if one >= 0}
        if len(others) == 1 and not self._characters[min(others)].name and named not in self._characters.values():
            rename(self._storage, min(others), named)
        self._decide(rows, named)
        return self.one(number)

    def merge(self, numbers: list[int]) -> Group:
        """Make one group of several. Raises UserError: they are one already, or two of them have different names."""
        rows = np.unique(np.concatenate([self._rows(number) for number in numbers]))
        if len(rows) == len(self._rows(numbers[0])):
            raise UserError(f"group {int(self._all.ids[rows].min())} can't be merged alone: give another group too")
        known = sorted({int(one) for one in self.decided[rows] if one >= 0})
        names = [self._characters[one] for one in known if self._characters[one].name]
        if len(names) > 1:
            raise UserError(f"{names[0].name} and {names[1].name} have different names: give both groups one name instead")
        self._decide(rows, names[0] if names else known[0] if known else None)
        return self.one(numbers[0])

    def split(self, heads: list[int]) -> Group:
        """Take heads, with those in copies of their pictures, out of their group: together they are another character.

        Raises UserError: they are not in one group, or are all of it.
        """
        rows = self._rows(heads[0])
        away = np.isin(self._all.ids[rows], heads)
        if away.sum() < len(set(heads)):
            raise UserError(f"the heads are in several groups: split one group at a time, that of head {heads[0]} first")
        if away.all():
            raise UserError(f"these are all heads of group {int(self._all.ids[rows].min())}: leave at least one in it")
        taken = {self._all.keys[row] for row in rows[away]}
        away = np.array([self._all.keys[row] in taken for row in rows])
        if away.all():
            number = int(self._all.ids[rows].min())
            raise UserError(f"group {number} holds nothing else than copies of these heads, which are always one character")
        stay = rows[~away]
        if (self.decided[stay] < 0).any():
            known = self.decided[stay][self.decided[stay] >= 0]
            self._decide(stay, int(known[0]) if len(known) else None)
        self._decide(rows[away], None)
        return self.one(heads[0])

    def _rows(self, head: int) -> np.ndarray:
        row = np.flatnonzero(self._all.ids == head)
        if not len(row):
            raise UserError(f"the collection has no head {head}: list its groups again")
        label = self.labels[row[0]]
        return row if label < 0 else np.flatnonzero(self.labels == label)

    def _decide(self, rows: np.ndarray, character: Named | int | None) -> None:
        """Keep it, and make these rows one group of the saved ones, with all others of the same character."""
        number = decide(self._storage, [self._all.keys[row] for row in rows], character)
        self.decided, self._characters = decided(self._storage, self._all.keys)
        self.labels[self.decided == number] = self.labels.max(initial=-1) + 1
        _, labels = np.unique(self.labels[self.labels >= 0], return_inverse=True)
        self.labels[self.labels >= 0] = labels
        self._save()

    def _read(self) -> np.ndarray | None:
        """The groups that were shown last; None if there are none or the collection has other heads now."""
        try:
            ids, labels = np.load(self._storage.folder / SAVED, allow_pickle=False)
        except (OSError, ValueError):
            return None
        return labels.copy() if np.array_equal(ids, self._all.ids) else None

    def _save(self) -> None:
        try:
            with replaced(self._storage.folder / SAVED) as part, open(part, "wb") as file:
                np.save(file, np.stack([self._all.ids, self.labels]), allow_pickle=False)
        except OSError as error:
            if error.errno not in DENIED:  # a collection that others share: the groups are found again each time
                raise
