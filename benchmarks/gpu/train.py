"""Trains an encoder on a GPU in minutes, on a machine without network, from what pack.py wrote:

    python3 PACK/code/train.py PACK OUT --minutes 8 [--teacher SPEC ...] [--teachers-share 0.45] [--away SET ...] [--batch 256]

PACK: the contents of all parts that are there, in one folder. Several teachers are trained by metric learning at once, each in
a process of its own, because one process does not fill a large GPU; then a student is distilled from all of them. Everything
is decoded once and augmented on the GPU. Learning rates follow the clock, so it ends in time.

SPEC: a backbone with changed options, such as tf_efficientnet_lite2,batch_size=128,arcface_weight=0.5; the student gets the
backbone of the first one. --away: sets that no part of the training sees; their MAP@R is reported.

OUT receives student.safetensors and teacher-N.safetensors (weights in 16 bits: at most 12 MB each), results.json (descriptions,
options, metrics of every epoch, pictures/s, MAP@R by set). `python benchmarks/gpu/unpack.py OUT FOLDER` makes an encoder folder
of the student, for `mlflow run . -e main -P encoder=FOLDER`.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

PACK_CODE = Path(__file__).resolve().parent
sys.path.insert(0, str(PACK_CODE))

DEFAULT_TEACHERS = ["tf_efficientnet_lite2"] * 3 + ["tf_efficientnet_lite1"]
EMBEDDING_SIZE, IMAGE_SIZE = 512, 256
SIDE_SHARES = (3 / 8, 1 / 2, 5 / 8)
FINISHING = 15  # seconds that the last fit, measuring and writing take after a training


def install(pack: Path) -> None:
    """Put the wheels where this process and its children find them."""
    site = pack / "site"
    if not site.exists():
        wheels = sorted(str(wheel) for wheel in (pack / "wheels").glob("*.whl"))
        flags = ["-q", "--no-index", "--no-deps", "--no-compile", "--no-cache-dir", "--target", str(site)]
        subprocess.run([sys.executable, "-m", "pip", "install", *flags, *wheels], check=True)
    os.environ["PYTHONPATH"] = f"{site}:{PACK_CODE}"
    sys.path.insert(0, str(site))


def assemble(pack: Path, work: Path, away: list[str]) -> Path:
    """A catalogue folder of the heads whose bytes are there. The characters of the sets that are away are only tested on."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    work.mkdir(parents=True, exist_ok=True)
    pictures, available = work / "pictures.bin", 0
    with open(pictures, "wb") as stream:
        for piece in sorted(pack.glob("pictures.bin.*")):
            available += stream.write(piece.read_bytes())
    source = pq.read_table(pack / "catalogue.parquet")
    table = source.to_pandas()
    table = table[table["offset"] + table["length"] <= available]
    if away:
        characters = table["character"][table["set"].isin(away)]
        outside = table["character"].isin(characters)
        table = table.assign(encoder_split=np.where(outside, "validation", "train"))
        table = table[~outside | table["set"].isin(away)]  # no other style of these characters either
    pq.write_table(pa.Table.from_pandas(table, schema=source.schema, preserve_index=False), work / "catalogue.parquet")
    return work


def parsed(spec: str) -> tuple[str, dict[str, Any]]:
    backbone, *changes = spec.split(",")
    return backbone, {key: json.loads(value) for key, value in (change.split("=") for change in changes)}


class Results:
    """results.json, written after every epoch."""

    def __init__(self, path: Path, **known: Any):
        self.path, self.known, self.begin = path, {**known, "epochs": []}, time.perf_counter()

    def __call__(self, epoch: int, metrics: dict[str, float]) -> None:
        row = {"epoch": epoch, "seconds": time.perf_counter() - self.begin, **metrics}
        self.known["epochs"].append(row)
        rounded = {name: round(value, 3) for name, value in row.items()}
        print(self.path.stem, rounded, flush=True)
        self.write()

    def write(self, **more: Any) -> None:
        self.known |= more
        self.path.write_text(json.dumps(self.known, indent=1))


def save(encoder: Any, path: Path) -> None:
    """Weights with 16-bit matrices and 32-bit vectors."""
    from safetensors.torch import save_file

    save_file({k: (v.half() if v.ndim > 1 else v).contiguous().cpu() for k, v in encoder.state_dict().items()}, path)


def by_set(encoder: Any, catalogue: Any, part: str) -> dict[str, dict[str, float]]:
    """MAP@R and precision@1 of the heads of a part: all of them, and each set."""
    from crystal_eyes.data.catalogue import artworks
    from crystal_eyes.encoder.loop import ServedHeads, move_to, training_device
    from crystal_eyes.evaluation.retrieval import retrieval

    table = catalogue.table()
    table = table[table["encoder_split"] == part].reset_index(drop=True)
    device = training_device()
    move_to(device, encoder)
    embeddings = ServedHeads(catalogue, table, encoder.description.image_size, device).embeddings(encoder)
    encoder.to("cpu")
    names, works, sets = table["character"].to_numpy(str), artworks(table).astype(str), table["set"].to_numpy(str)
    found = {"all": retrieval(embeddings, names, works)}
    for one in sorted(set(sets)):
        rows = sets == one
        found[one] = retrieval(embeddings[rows], names[rows], works[rows])
    return found


def train_teacher(catalogue_folder: Path, weights: Path, work: Path, seed: int, until: float, spec: str) -> None:
    import torch

    from crystal_eyes.data.catalogue import Catalogue
    from crystal_eyes.encoder.metric_learning import train_encoder
    from crystal_eyes.encoder.network import Encoder, EncoderDescription, save_encoder
    from crystal_eyes.encoder.options import STRONG, TrainingOptions
    from crystal_eyes.encoder.weights import load_weights

    backbone, changes = parsed(spec)
    described = {field.name: changes.pop(field.name) for field in fields(EncoderDescription) if field.name in changes}
    description = replace(EncoderDescription(backbone, EMBEDDING_SIZE, IMAGE_SIZE, drop_connect_rate=0.3), **described)
    options = TrainingOptions(
        epochs=1, side_shares=SIDE_SHARES, arcface_weight=0.25, same_set_share=0.5, views=STRONG, refit=True,
        batch_size=128, learning_rate=1e-3, seed=seed, until=until,
    )  # fmt: skip
    options = replace(options, **changes)
    torch.manual_seed(seed)
    encoder = Encoder(description)
    load_weights(encoder, str(weights / f"{backbone}.safetensors"))
    results = Results(work.with_suffix(".json"), spec=spec, description=asdict(description), options=asdict(options))
    catalogue = Catalogue(catalogue_folder)
    best = train_encoder(encoder, catalogue, options, work, results)
    save_encoder(encoder, work / "encoder")
    results.write(best_epoch=best, map_at_r=by_set(encoder, catalogue, "validation"))


def distill(catalogue_folder: Path, teachers: list[Path], work: Path, until: float, batch: int) -> Any:

    from crystal_eyes.data.catalogue import Catalogue
    from crystal_eyes.encoder.distillation import distill_encoder
    from crystal_eyes.encoder.network import load_encoder
    from crystal_eyes.encoder.options import STRONG, DistillationOptions

    options = DistillationOptions(
        epochs=1, side_share=SIDE_SHARES[-1], views=STRONG, batch_size=batch, weight_decay=1e-2, refit=True, learning_rate=8e-4,
        until=until,
    )  # fmt: skip
    catalogue = Catalogue(catalogue_folder)
    encoders = [load_encoder(folder / "encoder") for folder in teachers]
    results = Results(work.with_suffix(".json"), options=asdict(options))
    student, best = distill_encoder(encoders, catalogue, options, work, results)
    scores = by_set(student, catalogue, "validation")
    results.write(description=asdict(student.description), best_epoch=best, map_at_r=scores)
    return student


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--teacher", action="append", help="SPEC of a teacher; repeat it for several")
    parser.add_argument("--teachers-share", type=float, default=0.45, help="share of the time in which teachers are trained")
    parser.add_argument("--away", nargs="*", default=[])
    parser.add_argument("--batch", type=int, default=256, help="heads per batch of the distillation")
    parser.add_argument("--one", nargs=5, help=argparse.SUPPRESS)  # a teacher's process: catalogue, work, seed, until, spec
    arguments = parser.parse_args()
    begin = time.monotonic()
    pack, out = arguments.pack.resolve(), arguments.out.resolve()
    install(pack)
    if arguments.one:
        catalogue, work, seed, until, spec = arguments.one
        return train_teacher(Path(catalogue), pack / "weights", Path(work), int(seed), float(until), spec)
    out.mkdir(parents=True, exist_ok=True)
    work = pack / f"work-{int(time.time())}"
    catalogue = assemble(pack, work / "catalogue", arguments.away)
    specs = arguments.teacher or DEFAULT_TEACHERS
    total = arguments.minutes * 60
    until = begin + total * arguments.teachers_share - FINISHING
    threads = str(max(1, (os.cpu_count() or 1) // len(specs)))
    processes, places = [], [work / f"teacher-{number}" for number in range(len(specs))]
    for number, (spec, place) in enumerate(zip(specs, places)):
        one = ["--one", str(catalogue), str(place), str(number), str(until), spec]
        command = [sys.executable, __file__, str(pack), str(out), *one]
        processes.append(subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": threads}))
    failed = {place for place, process in zip(places, processes) if process.wait()}
    for place in failed:
        print(f"the training of {place.name} failed: its error is above", file=sys.stderr)
    places = [place for place in places if place not in failed]
    if not places:
        sys.exit(1)
    from crystal_eyes.encoder.network import load_encoder

    results: dict[str, Any] = {"away": arguments.away, "minutes": arguments.minutes}
    for place in places:
        results[place.name] = json.loads(place.with_suffix(".json").read_text())
        save(load_encoder(place / "encoder"), out / f"{place.name}.safetensors")
        print(place.name, results[place.name]["spec"], results[place.name]["map_at_r"], flush=True)
    (out / "results.json").write_text(json.dumps(results, indent=1))
    until = begin + total - FINISHING
    if time.monotonic() < until:
        student = distill(catalogue, places, work / "student", until, arguments.batch)
        save(student, out / "student.safetensors")
        results["student"] = json.loads((work / "student.json").read_text())
        print("student", results["student"]["map_at_r"], flush=True)
        (out / "results.json").write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
