"""Distills one encoder from several teachers and writes it."""

from dataclasses import dataclass
from pathlib import Path

from crystal_eyes.data.catalogue import Catalogue
from crystal_eyes.encoder.distillation import distill_encoder
from crystal_eyes.encoder.loop import OnEpoch
from crystal_eyes.encoder.network import load_encoder, save_encoder
from crystal_eyes.encoder.options import DistillationOptions
from crystal_eyes.errors import UserError


@dataclass(frozen=True)
class DistilledEncoder:
    folder: Path
    best_epoch: int  # from 1


def distill(
    catalogue: Path,
    catalogue_digest: str,
    teachers: dict[str, Path],
    options: DistillationOptions,
    workspace: Path,
    on_epoch: OnEpoch,
) -> DistilledEncoder:
    """Write the student of the best epoch to workspace/encoder.

    teachers: folders of encoders by what the user calls them; the student starts as the first. Raises UserError where they
    were not trained on this catalogue, whose splits would not hold for the student, or see different image sizes.
    """
    loaded = {name: load_encoder(folder) for name, folder in teachers.items()}
    for name, teacher in loaded.items():
        if teacher.description.training_catalogue != catalogue_digest:
            raise UserError(f"encoder {name} was not trained on this catalogue: give the catalogue that it was trained on")
    if len({teacher.description.image_size for teacher in loaded.values()}) > 1:
        sizes = ", ".join(f"{name} {teacher.description.image_size} px" for name, teacher in loaded.items())
        raise UserError(f"the encoders see different image sizes ({sizes}): train all with the same image_size")
    student, best = distill_encoder(list(loaded.values()), Catalogue(catalogue), options, workspace, on_epoch)
    folder = workspace / "encoder"
    save_encoder(student, folder)
    return DistilledEncoder(folder, best)
