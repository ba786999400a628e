"""Distills one encoder from several teachers and writes it."""

from dataclasses import asdict, dataclass
from pathlib import Path

from crystal_eyes.data.catalogue import Catalogue
from crystal_eyes.encoder.distillation import distill_encoder
from crystal_eyes.encoder.distributed import process_number
from crystal_eyes.encoder.loop import OnEpoch
from crystal_eyes.encoder.network import load_encoder, save_encoder
from crystal_eyes.encoder.options import DistillationOptions, Processes
from crystal_eyes.encoder.processes import Job, run_job, train_in_processes
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
    processes: Processes | None = None,
) -> DistilledEncoder:
    """Write the student of the best epoch to workspace/encoder.

    teachers: folders of encoders by what the user calls them; the student starts as the first. Raises UserError where they
    were not trained on this catalogue, whose splits would not hold for the student, or see different image sizes.
    processes: that train the student together, instead of this one.
    """
    folder = workspace / "encoder"
    loaded = {name: load_encoder(folder) for name, folder in teachers.items()}
    for name, teacher in loaded.items():
        if teacher.description.training_catalogue != catalogue_digest:
            raise UserError(f"encoder {name} was not trained on this catalogue: give the catalogue that it was trained on")
    if len({teacher.description.image_size for teacher in loaded.values()}) > 1:
        sizes = ", ".join(f"{name} {teacher.description.image_size} px" for name, teacher in loaded.items())
        raise UserError(f"the encoders see different image sizes ({sizes}): train all with the same image_size")
    if processes:
        job = {
            "catalogue": str(catalogue), "catalogue_digest": catalogue_digest, "options": asdict(options),
            "teachers": {name: str(teacher) for name, teacher in teachers.items()},
        }  # fmt: skip
        return DistilledEncoder(folder, **train_in_processes("steps.compute.distill", job, processes, workspace, on_epoch))
    student, best = distill_encoder(list(loaded.values()), Catalogue(catalogue), options, workspace, on_epoch)
    if process_number() == 0:
        save_encoder(student, folder)
    return DistilledEncoder(folder, best)


def distill_as_one_of_many(job: Job, workspace: Path) -> Job:
    """The same, in one of the processes."""
    distilled = distill(
        Path(job["catalogue"]),
        job["catalogue_digest"],
        {name: Path(folder) for name, folder in job["teachers"].items()},
        DistillationOptions(**job["options"]),
        workspace,
        on_epoch=lambda *_: None,  # the process that started this one reads the checkpoint
    )
    return {"best_epoch": distilled.best_epoch}


if __name__ == "__main__":
    run_job(distill_as_one_of_many)
