"""What an audit finds of planted errors.

    python benchmarks/audit/run.py DATASET WORK [--catalogue FOLDER --part PART] [--sets SETS] [--seed N]

Copies a clean dataset's heads into WORK with planted errors (5 % wrong labels, 2 % duplicates, and some of every other kind),
audits it with the released recognizer, and prints how many of the planted errors are named (recall) and how many of the named
ones were planted (precision). Errors that the dataset had before count as false ones. The wrong labels are those of another
character of the same set.

--catalogue, --part: only heads with this encoder_split (train, validation or test) in a catalogue, to measure on characters
that the encoder was not trained on.
"""

import argparse
import io
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageOps

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from crystal_eyes.audit import findings as kinds
from crystal_eyes.audit.report import write_audit
from crystal_eyes.data.catalogue import Catalogue
from crystal_eyes.data.layouts import load_dataset
from crystal_eyes.data.same_pictures import is_flat, thumbnail
from crystal_eyes.detector.training.backgrounds import synthetic_background
from crystal_eyes.images import flatten, open_picture
from crystal_eyes.recognizer.bundle import DETECTOR, ENCODER
from crystal_eyes.recognizer.places import released_folder

WRONG, COPIES, FEW = 0.05, 0.01, 0.01  # shares of the heads: wrong labels, each kind of copies, each other kind
SPLIT_CHARACTERS = 0.05  # share of the characters
TEST = 0.3  # share of the heads in the planted dataset's own test split


def changed(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A copy as people make them: smaller, mirrored or darker."""
    kind = rng.integers(0, 4)
    if kind == 0:
        return picture.resize([max(1, round(0.7 * side)) for side in picture.size], Image.Resampling.BICUBIC)
    if kind == 1:
        return ImageOps.mirror(picture)
    return picture.point(lambda value: int(value * 0.8)) if kind == 2 else picture


class Planted:
    """The dataset with errors: its rows, and which rows and characters were planted."""

    def __init__(self, table: pd.DataFrame, folder: Path, seed: int):
        self.rng, self.folder = np.random.default_rng(seed), folder
        (folder / "new").mkdir(parents=True)
        given = table[["path", "character", "series", "set", "artwork"]].rename(columns={"path": "file"})
        self.rows = given.assign(planted="", truth=given["character"], split="train").to_dict("records")
        self.count = len(self.rows)
        self.free = list(self.rng.permutation(self.count))
        for row in self.rng.permutation(self.count)[: round(TEST * self.count)]:
            self.rows[row]["split"] = "test"
        self.series = dict(zip(given["character"], given["series"]))
        self.characters = sorted(set(given["character"]))
        self.of_set = {name: sorted(set(part["character"])) for name, part in given.groupby("set")}

    def take(self, share: float) -> list[dict]:
        some, self.free = self.free[: round(share * self.count)], self.free[round(share * self.count) :]
        return [self.rows[row] for row in some]

    def other(self, row: dict) -> dict:
        """Another character, of the same set if it has others: its name and series."""
        names = [name for name in self.of_set[row["set"]] if name != row["truth"]]
        name = str(self.rng.choice(names or [name for name in self.characters if name != row["truth"]]))
        return {"character": name, "series": self.series[name]}

    def save(self, picture: Image.Image, quality: int = 85) -> str:
        path = self.folder / "new" / f"{len(list((self.folder / 'new').iterdir())):05d}.jpg"
        picture.save(path, quality=quality)
        return str(path.resolve())

    def plant(self) -> None:
        for row in self.take(WRONG):
            row.update(self.other(row), planted=kinds.WRONG)
        for row in self.take(COPIES):
            file = self.save(changed(opened(row), self.rng))
            self.rows.append(row | self.other(row) | {"file": file, "planted": kinds.TWO_NAMES})
        for row in self.take(COPIES):
            split = "test" if row["split"] == "train" else "train"
            file = self.save(changed(opened(row), self.rng))
            self.rows.append(row | {"file": file, "split": split, "planted": kinds.ACROSS})
        for row in self.take(FEW):
            picture = Image.fromarray(synthetic_background(self.rng, 160, 160))
            while is_flat(thumbnail(picture)[None])[0]:  # which is another kind
                picture = Image.fromarray(synthetic_background(self.rng, 160, 160))
            file = self.save(picture)
            self.rows.append(row | {"file": file, "planted": kinds.NO_HEAD})
        for row in self.take(FEW):
            other = self.rows[self.rng.integers(0, self.count)]
            both = Image.new("RGB", (520, 320), (200, 200, 210))
            for place, one in enumerate((row, other)):
                both.paste(ImageOps.fit(opened(one), (180, 180)), (40 + 260 * place, 90))
            self.rows.append(row | {"file": self.save(both), "planted": kinds.SEVERAL})
        for row in self.take(FEW):
            self.rows.append(row | {"file": self.save(opened(row).resize((20, 20))), "planted": kinds.TINY_HEAD})
        for row in self.take(FEW):
            out = io.BytesIO()
            opened(row).save(out, "JPEG")
            path = Path(self.save(opened(row)))
            path.write_bytes(out.getvalue()[: len(out.getvalue()) // 2])
            self.rows.append(row | {"file": str(path), "planted": kinds.UNUSABLE})
        counts = pd.Series([row["truth"] for row in self.rows[: self.count]]).value_counts()
        several = sorted(counts[counts >= 4].index)
        for name in self.rng.permutation(several)[: round(SPLIT_CHARACTERS * len(self.characters))]:
            own = [row for row in self.rows if row["character"] == name]
            for row in own[: self.rng.integers(2, len(own) - 1)] if len(own) >= 4 else []:
                row["character"] = f"{name} (other)"

    def table(self) -> pd.DataFrame:
        return pd.DataFrame(self.rows)


def opened(row: dict) -> Image.Image:
    return flatten(open_picture(Path(row["file"]).read_bytes()))


def whole(character: str) -> str:
    return character.removesuffix(" (other)")


def score(table: pd.DataFrame, found: pd.DataFrame, before: pd.DataFrame) -> pd.DataFrame:
    """A row per kind: planted, named, precision, recall, and how many were named in the dataset before."""
    lines = []
    for kind in kinds.KINDS:
        named = found[found["kind"] == kind]
        if kind == kinds.ONE_CHARACTER:
            split = {name for name in table["character"] if name.endswith(" (other)")}
            planted = len(split)
            right = sum(whole(a) == whole(b) for a, b in zip(named["character"], named["other_character"]))
            recalled = right
        else:
            files = set(table["file"][table["planted"] == kind])
            planted = len(files)
            # of a copy and its source, either may be called the copy
            hit = named["file"].isin(files) | (
                named["other_file"].isin(files) if kind in (kinds.TWO_NAMES, kinds.ACROSS) else False
            )
            right = int(hit.sum())
            recalled = len(files & (set(named["file"]) | set(named["other_file"] if kind != kinds.WRONG else [])))
        lines.append(
            (kind, planted, len(named), right / max(1, len(named)), recalled / max(1, planted), (before["kind"] == kind).sum())
        )
    columns = ["kind", "planted", "named", "precision", "recall", "named before planting"]
    return pd.DataFrame(lines, columns=columns).set_index("kind")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--catalogue", type=Path)
    parser.add_argument("--part", default="test")
    parser.add_argument("--sets", default="", help="only heads of these sets, separated by commas")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    table = load_dataset(given.dataset, 0.0).table
    if given.catalogue:
        catalogue = Catalogue(given.catalogue).table()
        table = table[table["file"].isin(catalogue["file"][catalogue["encoder_split"] == given.part])]
    if given.sets:
        table = table[table["set"].isin(given.sets.split(","))]
    table = table[table.groupby("character")["file"].transform("size") >= 2].reset_index(drop=True)
    print(f"{len(table)} heads of {table['character'].nunique()} characters", flush=True)

    bundle = released_folder()
    assert bundle
    given.work.mkdir(parents=True, exist_ok=True)
    found = {}
    for name in ("before", "planted"):
        folder = given.work / f"{name}-{given.part}-{given.seed}"
        shutil.rmtree(folder, ignore_errors=True)
        planted = Planted(table, folder, given.seed)
        if name == "planted":
            planted.plant()
        rows = planted.table()
        rows.drop(columns=["planted", "truth"]).to_csv(folder / "table.csv", index=False)
        report = write_audit(folder / "table.csv", bundle / DETECTOR, bundle / ENCODER, given.work / f"audit-{given.part}")
        found[name] = pd.read_csv(report.findings, keep_default_na=False)
        found[name].to_csv(given.work / f"findings-{name}-{given.part}-{given.seed}.csv", index=False)
    print(score(rows, found["planted"], found["before"]).round(3).to_string())
    wrong = found["planted"][found["planted"]["kind"] == kinds.WRONG].merge(rows[["file", "truth", "planted"]], on="file")
    wrong = wrong[wrong["planted"] == kinds.WRONG]
    suggested = wrong[wrong["other_character"] != ""]
    right = [whole(one) == whole(two) for one, two in zip(suggested["other_character"], suggested["truth"])]
    print(f"a right name is suggested for {sum(right)} of the {len(wrong)} wrong labels that are named, a wrong one for "
          f"{len(right) - sum(right)}")  # fmt: skip


if __name__ == "__main__":
    main()
