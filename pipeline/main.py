"""The driver: runs the chain of steps through `_get_or_run`, logs the comparison, and registers the bundle."""

import dataclasses
import sys
from dataclasses import dataclass
from typing import Any

import mlflow
from mlflow.entities import Run

from crystal_eyes.artifacts import local_path
from pipeline.cache.digests import digest_path
from pipeline.chain import Chained, Main, run_chain
from pipeline.datasets import log_catalogue
from pipeline.experiment import name_experiment
from pipeline.get_or_run import _get_or_run
from pipeline.parameters.declare import inputs, parse, values
from pipeline.plan import print_plan
from pipeline.presentation import ENTRY_POINT
from pipeline.promote import promote
from pipeline.report import as_text, log_comparison, verdict
from pipeline.run_names import is_generated, main_name
from pipeline.run_page import run_page
from pipeline.step import one_line_errors


@dataclass
class Finished:
    run: Run

    def output(self, name: str) -> str:
        return f"runs:/{self.run.info.run_id}/{name}"


def main(config: Any) -> None:
    def run(entry_point: str, parameters: dict[str, Any]) -> Finished:
        return Finished(_get_or_run(entry_point, parameters, use_cache=config.cache == "on"))

    chained = run_chain(config, run)
    log_catalogue(chained.catalogue, digest_path(local_path(chained.catalogue)), "main")
    table = log_comparison({name: result.run for name, result in chained.classifiers.items()}, chained.naming)
    mlflow.log_metrics(headline(chained))
    mlflow.set_tag("bundle_run", chained.bundle.run.info.run_id)
    promoted = promote(chained, run)
    info = mlflow.active_run().info
    store = mlflow.get_tracking_uri()
    served = store.startswith("http")
    print(
        f"\n{as_text(table)}\n{verdict(table, chained.naming)}\n\n{promoted}\n\n"
        + "To use it:      crystal-eyes recognize PICTURE, or crystal-eyes serve for the page\n"
        + ("" if served else f"To look at it:  mlflow ui --backend-store-uri {store}\n")
        + f"This run:       {store if served else 'http://127.0.0.1:5000'}/{run_page(info)}\n"
        "Its description links to each classifier; its artifacts include comparison.png. Below each classifier: answers.png,\n"
        "confused_pairs.png and per_character.csv; below prepare: contact_sheet.png;\n"
        "below train and distill: the curves by epoch."
    )


def headline(chained: Chained) -> dict[str, float]:
    """The figures by which two mains are compared: those of the bundle on its test heads, and the encoder's MAP@R."""
    evaluated = chained.evaluation.run.data.metrics
    return {name: evaluated[name] for name in ("top_1", "top_3", "top_5") if name in evaluated}


def begin(config: Any, run: Run) -> None:
    """Name the run of a main or a plan, and log all its parameters, those that `mlflow run` was not given included."""
    if is_generated(run.info.run_name):
        given = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
        mlflow.set_tag("mlflow.runName", main_name(given, {f.name: f.default for f in dataclasses.fields(config)}))
    mlflow.set_tag(ENTRY_POINT, "plan" if config.plan else "main")
    known = run.data.params
    mlflow.log_params({name: value for name, value in (values(config) | inputs(config)).items() if name not in known})


if __name__ == "__main__":
    with one_line_errors("main"):
        config = parse(Main, sys.argv[1:])
        with mlflow.start_run() as run:
            name_experiment(run)
            begin(config, run)
            print_plan(config) if config.plan else main(config)
