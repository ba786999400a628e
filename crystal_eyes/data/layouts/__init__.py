"""Datasets as users keep them, read into one plain table of files.

Three layouts, told apart by what lies there:
- a folder a character, nested sets allowed: `SET/CHARACTER/picture.png`
- a table (CSV or parquet) with the columns file and character, and where present series, set, artwork, monochrome, split
- the Danbooru 2018 Anime Character Recognition Dataset (Wang, 2019): faces.tsv, tagIds.tsv and optional *Split.tsv
"""

import os
import unicodedata
from pathlib import Path

import pandas as pd

from crystal_eyes.errors import UserError
from crystal_eyes.images import SUFFIXES

# path: absolute; box: left, top, right, bottom in pixels where the head is a part of the picture
COLUMNS = ["path", "file", "character", "series", "set", "artwork", "monochrome", "split", "box"]
SPLITS = {"train": "train", "test": "test", "val": "validation", "valid": "validation", "validation": "validation"}


def read_dataset(path: str | Path, confidence: float) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    """The dataset as a table with COLUMNS, a row a picture, sorted; and what was left out, as (what, why).

    confidence: least confidence of a box (Danbooru 2018 only). Text columns hold "" where unknown, `monochrome` and `box` None.
    Raises UserError: nothing there, nothing in it, or a layout that is none of the three.
    """
    path = _existing(path)
    left_out: list[tuple[str, str]] = []
    if path.name == "faces.tsv" or (path / "faces.tsv").is_file():
        rows = _danbooru(path.parent if path.is_file() else path, confidence, left_out)
    elif path.is_file():
        rows = _table(path, left_out)
    elif manifest := _manifest(path):
        rows = _table(manifest, left_out)
    else:
        rows = _folders(path, left_out)
    if not rows:
        raise UserError(f"dataset {path} holds no labelled picture: it needs a folder a character, or a table")
    table = pd.DataFrame(rows, columns=COLUMNS)
    table["character"] = _unique_names(table)
    table = table.drop_duplicates(["path", "character", "box"])
    return table.sort_values(["character", "file"], kind="stable").reset_index(drop=True), left_out


def dataset_files(path: str | Path) -> list[Path]:
    """The files that a dataset consists of: what a cache key has to cover. Raises UserError like read_dataset."""
    path = _existing(path).resolve()
    if path.is_file() and path.suffix in (".csv", ".parquet"):
        table, _ = read_dataset(path, confidence=0.0)
        return [path, *sorted({Path(p) for p in table["path"]})]
    folder = path.parent if path.is_file() else path
    files = {Path(base) / name for base, _, names in _walk(folder) for name in names}
    if manifest := _manifest(folder):
        # its table may name pictures that lie elsewhere
        files |= {Path(p) for p in read_dataset(manifest, confidence=0.0)[0]["path"]}
    return sorted(files)


def _existing(path: str | Path) -> Path:
    path = Path(path).expanduser()
    if not path.exists():
        raise UserError(f"dataset {path} does not exist: give a folder of pictures or a table with -P dataset=...")
    return path


def _walk(folder: Path):
    for base, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        yield base, folders, sorted(n for n in names if not n.startswith("."))


def _text(value) -> str:
    """A label: one line, in Unicode's composed form."""
    return "" if pd.isna(value) else " ".join(unicodedata.normalize("NFC", str(value)).split())


def _find(folder: Path, file: str) -> Path | None:
    """The file as it is named, or in another of Unicode's forms: a Mac writes the letters of a name apart."""
    forms = (file, unicodedata.normalize("NFC", file), unicodedata.normalize("NFD", file))
    return next((folder / form for form in forms if (folder / form).is_file()), None)


def _manifest(folder: Path) -> Path | None:
    """The one table in a folder that has the columns file and character."""
    found = [t for t in sorted([*folder.glob("*.csv"), *folder.glob("*.parquet")]) if _is_manifest(t)]
    if len(found) > 1:
        raise UserError(f"{folder} holds several tables ({', '.join(t.name for t in found)}): name one of them")
    return found[0] if found else None


def _is_manifest(path: Path) -> bool:
    try:
        return {"file", "character"} <= set(_read_table(path, rows=1).columns)
    except UserError:
        return False


def _read_table(path: Path, rows: int | None = None) -> pd.DataFrame:
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", nrows=rows)
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} can't be read as a table ({reason}): give CSV (UTF-8) or parquet") from None


def _table(path: Path, left_out: list) -> list[tuple]:
    table = _read_table(path)
    missing = {"file", "character"} - set(table.columns)
    if missing:
        raise UserError(f"table {path} has no column {' and '.join(sorted(missing))}: it needs file and character")
    rows = []
    for record in table.to_dict("records"):
        file = "" if pd.isna(record["file"]) else str(record["file"]).strip()
        picture, character = _find(path.parent, file), _text(record["character"])
        split = _text(record.get("split", "")).lower()
        if not character:
            left_out.append((file, "no character in the table"))
        elif split and split not in SPLITS:
            raise UserError(f"table {path}: split {split!r} of {file} is unknown: use train, validation or test")
        elif picture is None:
            left_out.append((file, "named in the table but missing on disk"))
        else:
            mono = _text(record.get("monochrome", "")).lower()
            rows.append(
                (str(picture.resolve()), file, character, _text(record.get("series", "")),
                 _text(record.get("set", "")), _text(record.get("artwork", "")),
                 None if not mono else mono in ("1", "true", "1.0", "yes"), SPLITS.get(split, ""), None)
            )  # fmt: skip
    return rows


def _folders(root: Path, left_out: list) -> list[tuple]:
    rows = []
    for base, _, names in _walk(root):
        folder = Path(base)
        pictures = [n for n in names if Path(n).suffix.lower() in SUFFIXES]
        for name in names:
            file = (folder / name).relative_to(root).as_posix()
            if name not in pictures:
                left_out.append((file, "no picture by its suffix"))
            elif folder == root:
                left_out.append((file, "in no character's folder"))
            else:
                series = folder.parent.relative_to(root).as_posix()
                series = "" if series == "." else _text(series)
                rows.append((str((folder / name).resolve()), file, _text(folder.name), "", series, "", None, "", None))
    return rows


def _danbooru(root: Path, confidence: float, left_out: list) -> list[tuple]:
    if not (root / "tagIds.tsv").is_file():
        raise UserError(f"{root / 'tagIds.tsv'} is missing: the Danbooru 2018 set needs it beside faces.tsv")
    names = {}
    for first, second in _lines(root / "tagIds.tsv", 2):
        name, tag = (first, second) if second.isdigit() else (second, first)
        names[tag] = _text(name)
    splits = {}
    for split in ("train", "val", "test"):
        if (root / f"{split}Split.tsv").is_file():
            splits |= {line[0]: SPLITS[split] for line in _lines(root / f"{split}Split.tsv", 1)}
    # the set's pictures may lie in any folder below
    where = {name: Path(base) / name for base, _, found in _walk(root) for name in found}
    rows = []
    for file, tag, face in _lines(root / "faces.tsv", 3):
        try:
            left, top, right, bottom, sure = (float(part) for part in face.split(","))
        except ValueError:
            raise UserError(f"{root / 'faces.tsv'}: {face!r} of {file} is not left,top,right,bottom,confidence") from None
        picture = root / file if (root / file).is_file() else where.get(Path(file).name)
        if sure < confidence:
            left_out.append((file, f"confidence below {confidence}"))
        elif tag not in names:
            left_out.append((file, f"tag {tag} is not in tagIds.tsv"))
        elif picture is None:
            left_out.append((file, "named in faces.tsv but missing on disk"))
        else:
            split = splits.get(Path(file).stem, "")
            box = (left, top, right, bottom)
            # one illustration, one artwork: its heads stay on one side of every split
            rows.append((str(picture.resolve()), file, names[tag], "", "", Path(file).stem, None, split, box))
    return rows


def _lines(path: Path, columns: int) -> list[list[str]]:
    lines = []
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} can't be read ({error}): give it in UTF-8") from None
    for number, line in enumerate(text.splitlines(), 1):
        parts = line.strip().split("\t")
        if line.strip() and len(parts) < columns:
            raise UserError(f"{path} line {number}: {len(parts)} columns where {columns} are needed, tab-separated")
        if line.strip():
            lines.append(parts[:columns])
    return lines


def _unique_names(table: pd.DataFrame) -> pd.Series:
    """Characters of one name in two series (or sets) are two characters: "rin (Love Live!)" and "rin (Project Sekai)"."""
    home = table["series"].where(table["series"] != "", table["set"])
    homes = home.groupby(table["character"]).transform("nunique")
    return table["character"].where((homes == 1) | (home == ""), table["character"] + " (" + home + ")")
