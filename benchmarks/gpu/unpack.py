"""Makes encoder folders of what train.py brought back: python benchmarks/gpu/unpack.py OUT FOLDER

Writes FOLDER/student and FOLDER/teacher-N, each an encoder for `mlflow run . -e main -P encoder=FOLDER/student`, and prints
their MAP@R on the heads that their training did not see.
"""

import json
import sys
from pathlib import Path

from safetensors.torch import load_file

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from crystal_eyes.encoder.network import Encoder, EncoderDescription, save_encoder


def main(out: str, folder: str) -> None:
    results = json.loads((Path(out) / "results.json").read_text())
    for weights in sorted(Path(out).glob("*.safetensors")):
        name = weights.stem
        encoder = Encoder(EncoderDescription(**results[name]["description"]))
        encoder.load_state_dict(load_file(weights))
        save_encoder(encoder, Path(folder) / name)
        scores = results[name]["map_at_r"]
        print(
            f"{name}: MAP@R {scores['all']['map_at_r']:.3f} of heads that it did not see, best epoch {results[name]['best_epoch']}"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
