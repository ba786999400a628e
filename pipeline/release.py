"""The entry point release: rebuilds the released recognizer from a dataset. One run documents it; no step is run twice."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import Run

from crystal_eyes.artifacts import local_path
from crystal_eyes.errors import UserError
from crystal_eyes.paths import plain_path
from crystal_eyes.recognizer.bundle import CARD, LISTING, copy_bundle, read_bundle
from pipeline.cache.digests import digest_path
from pipeline.chain import FittedChain, Runner, StepResult, fit_classifiers
from pipeline.datasets import log_catalogue
from pipeline.driver import driver_run
from pipeline.get_or_run import _get_or_run
from pipeline.main import values_of
from pipeline.parameters.declare import as_text, input_path
from pipeline.parameters.encoders import DESCRIPTION, WEIGHTS
from pipeline.parameters.entry_points import Main, Release
from pipeline.plan import print_plan
from pipeline.presentation import ENTRY_POINT
from pipeline.run_names import dataset_name
from pipeline.step import one_line_errors

ENCODER = "encoder"  # folder beside the bundle's files: what training starts from
PER_SET = "per_set.csv"  # artifact of the step bundle
FINAL = {"fit_all_heads": True, "released": True, "thumbnails": False}


@dataclass(frozen=True)
class Released:
    """The runs of a release."""

    fitted: FittedChain  # on the splits
    bundle: StepResult  # of all heads


def release_chain(main: Main, run: Runner) -> Released:
    """Call `run(entry point, parameters)` for every step in order. Raises UserError on contradictory parameters."""
    fitted = fit_classifiers(main, run)
    return Released(fitted, run("bundle", fitted.bundle_parameters | FINAL))


def run_release(release: Release) -> None:
    """Run the chain, write the folder, log what it reaches on the active run."""
    target = writable_target(release.output)

    def run(entry_point: str, parameters: dict[str, Any]) -> StepResult:
        return StepResult(_get_or_run(entry_point, parameters, use_cache=release.main.options.cache == "on"))

    done = release_chain(release.main, run)
    catalogue = done.fitted.catalogue
    log_catalogue(catalogue, digest_path(local_path(catalogue)), "release")
    bundle = local_path(done.bundle.output("bundle"))
    log_results(done, bundle)
    options = release.main.options
    encoder = input_path(options, "encoder") if options.encoder else local_path(done.fitted.encoder)
    write_release(bundle, encoder, target)
    written = read_bundle(target)
    size = sum((target / name).stat().st_size for name in written.listing["files"])
    mlflow.log_metric("bundle_bytes", size)
    print(f"\n{target}: {len(written.characters)} characters, {size / 1e6:.1f} MB; its model card is {target / CARD}")


def log_results(done: Released, bundle: Path) -> None:
    """Log figures, the table by set and the model card; print the most important figures."""
    split = done.fitted.classifiers[done.fitted.naming].finished.data.metrics
    split = {name: value for name, value in split.items() if name.startswith("top_")}
    final = done.bundle.finished.data.metrics
    mlflow.log_metrics(split | {f"final/{name}": value for name, value in final.items()})
    mlflow.log_artifact(str(bundle / CARD))
    run_id = done.bundle.finished.info.run_id
    mlflow.log_artifact(str(local_path(f"runs:/{run_id}/{PER_SET}")))
    lines = []
    for title, some in (("on the splits", split), ("with all heads but half of the test heads' artworks", held_out(final))):
        figures = (f"{name.replace('_', '-')} {some[name]:.3f}" for name in ("top_1", "top_5", "series_top_1") if name in some)
        lines.append(f"{title}: {', '.join(figures)}")
    print("\n".join(lines))
    note = [Release.__doc__ or "", "", *(f"- {line}" for line in lines), "", f"Artifacts: the model card {CARD}, {PER_SET}"]
    mlflow.set_tags({"bundle_run": run_id, "mlflow.note.content": "\n".join(note)})


def held_out(metrics: dict[str, float]) -> dict[str, float]:
    """The figures of a bundle on all held-out heads, by the names that classify gives them."""
    return {name.removeprefix("held_out_"): value for name, value in metrics.items() if name.startswith("held_out_")}


def writable_target(output: str) -> Path:
    """The folder to write, its parent made. Raises UserError where it holds something else than a release."""
    target = plain_path(output).absolute()
    if target.exists() and not (target / LISTING).is_file() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"output={output} exists and is no released recognizer: give another folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def write_release(bundle: Path, encoder: Path, target: Path) -> None:
    """Write bundle and encoder to a folder, which has the earlier release or the new one at every moment but one rename's."""
    part, old = (target.with_name(f".{target.name}.{suffix}") for suffix in ("part", "old"))
    if old.exists() and not target.exists():  # an earlier call was killed between the two renames
        old.rename(target)
    for left in (part, old):
        shutil.rmtree(left, ignore_errors=True)
    try:
        copy_bundle(bundle, part)
        (part / ENCODER).mkdir()
        for name in (WEIGHTS, DESCRIPTION):
            shutil.copyfile(encoder / name, part / ENCODER / name)
        if target.exists():
            target.rename(old)
        part.rename(target)
    except BaseException:
        if old.exists() and not target.exists():
            old.rename(target)
        shutil.rmtree(part, ignore_errors=True)
        raise
    shutil.rmtree(old, ignore_errors=True)


def begin(release: Release, active: Run) -> None:
    """Name and tag the run, and log all its parameters."""
    values = {"output": release.output} | values_of(release.main)
    mlflow.set_tags({"mlflow.runName": f"release, {dataset_name(values)}", ENTRY_POINT: "release"})
    mlflow.log_params({name: as_text(value) for name, value in values.items() if name not in active.data.params})


if __name__ == "__main__":
    with one_line_errors("release"):
        release = Release.parse(sys.argv[1:])
        with driver_run() as active:
            begin(release, active)
            print_plan(release.main, release_chain) if release.main.options.plan else run_release(release)
