"""Makes encoder folders of what train.py brought back: python benchmarks/gpu/unpack.py OUT FOLDER [PACK CATALOGUE]

Writes FOLDER/student and FOLDER/teacher-N, each an encoder for `mlflow run . -e main -P encoder=FOLDER/student`, and prints
their MAP@R on the heads that their training did not see.

With PACK (what pack.py wrote) and CATALOGUE (of prepare), the encoders name CATALOGUE as the one that they were trained on, so
that the model card of a bundle can say that the encoder has not seen the heads of its figures. This is checked: every head that
was trained on, except the pairs, has to be a head for training there too.
"""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
from safetensors.torch import load_file

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from crystal_eyes.data.catalogue import TABLE, Catalogue
from crystal_eyes.encoder.network import WEIGHTS, Encoder, EncoderDescription, save_encoder
from pipeline.cache.digests import digest_path


def trained_on(pack: Path, catalogue: Path, away: list[str]) -> str:
    """The digest of the catalogue. Exits where another training part than its own was used."""
    if away:  # train.py then trains on all characters of the other sets
        sys.exit(f"the encoders were trained without {', '.join(away)}, on another split than that of {catalogue}")
    (table,) = sorted(pack.glob(f"part-0/{TABLE}")) or [pack / TABLE]
    packed, own = pd.read_parquet(table), Catalogue(catalogue).table()
    packed = packed[packed["set"] != "pairs"]
    for split in ("train", "validation"):
        other = set(packed["file"][packed["encoder_split"] == split]) - set(own["file"][own["encoder_split"] == split])
        if other:
            sys.exit(f"{len(other)} heads of the {split} part are not in that of {catalogue}, such as {min(other)}")
    return digest_path(catalogue)


def main(out: str, folder: str, pack: str = "", catalogue: str = "") -> None:
    results = json.loads((Path(out) / "results.json").read_text())
    digest = trained_on(Path(pack), Path(catalogue), results["away"]) if pack else ""
    for weights in sorted(Path(out).glob("*.safetensors")):
        name = weights.stem
        encoder = Encoder(replace(EncoderDescription(**results[name]["description"]), training_catalogue=digest))
        encoder.load_state_dict(load_file(weights))
        save_encoder(encoder, Path(folder) / name)
        shutil.copyfile(weights, Path(folder) / name / WEIGHTS)  # its 16-bit matrices
        scores = results[name]["map_at_r"]
        epoch = results[name]["best_epoch"]
        print(f"{name}: MAP@R {scores['all']['map_at_r']:.3f} of heads that it did not see, best epoch {epoch}")


if __name__ == "__main__":
    main(*sys.argv[1:])
