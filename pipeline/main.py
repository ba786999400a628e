"""The driver: runs the chain of steps through `_get_or_run`, logs the comparison, and registers the bundle."""

import dataclasses
import sys
from typing import Any

import mlflow
from mlflow.entities import Run

from crystal_eyes.artifacts import local_path
from crystal_eyes.stores import masked
from pipeline.cache.digests import digest_path
from pipeline.chain import ChainResult, StepResult, run_chain
from pipeline.datasets import log_catalogue
from pipeline.driver import driver_run
from pipeline.get_or_run import _get_or_run
from pipeline.metric_names import FOUND
from pipeline.parameters.declare import as_text, own_fields
from pipeline.parameters.entry_points import LINEAR, MAIN, Main
from pipeline.plan import print_plan
from pipeline.presentation import ENTRY_POINT
from pipeline.promote import promote
from pipeline.report import as_text as table_as_text
from pipeline.report import log_comparison, verdict
from pipeline.run_names import is_generated, main_name
from pipeline.run_page import run_page
from pipeline.step import one_line_errors


def run_main(main: Main, active: Run) -> None:
    """Run the chain, compare, register. active: the run of main."""

    def run(entry_point: str, parameters: dict[str, Any]) -> StepResult:
        done = _get_or_run(entry_point, parameters, use_cache=main.options.cache == "on")
        if entry_point == "audit":
            log_audit(done)
        return StepResult(done)

    chained = run_chain(main, run)
    log_catalogue(chained.catalogue, digest_path(local_path(chained.catalogue)), "main")
    classifiers = {name: result.finished for name, result in chained.classifiers.items()}
    table = log_comparison(classifiers, chained.naming, LINEAR)
    mlflow.log_metrics(headline(chained))
    mlflow.set_tag("bundle_run", chained.bundle.finished.info.run_id)
    promoted = promote(chained, run)
    store = masked(mlflow.get_tracking_uri())
    served = store.startswith("http")
    print(
        f"\n{table_as_text(table)}\n{verdict(table, chained.naming, LINEAR)}\n\n{promoted}\n\n"
        + "To use it:      crystal-eyes recognize PICTURE, or crystal-eyes serve for the web page\n"
        + ("" if served else f"To look at it:  mlflow ui --backend-store-uri {store}\n")
        + f"This run:       {store if served else 'http://127.0.0.1:5000'}/{run_page(active.info)}\n"
        "Its description links to each classifier; its artifacts include comparison.png. The runs of the classifiers have\n"
        "answers.png, confused_pairs.png and per_character.csv; that of prepare has contact_sheet.png"
        + ("." if main.options.encoder else ";\nthose of train and distill have the curves by epoch.")
    )


def log_audit(audit: Run) -> None:
    """Log the summary of an audit, which may be a reused one, on main's run, and print it."""
    found = {name: value for name, value in audit.data.metrics.items() if name.startswith(FOUND)}
    mlflow.log_metrics(found)
    some = ", ".join(f"{value:.0f} {name.removeprefix(FOUND).replace('_', ' ')}" for name, value in found.items() if value)
    print(f"audit: {some or 'nothing'} found; the artifact audit/page.html of run {audit.info.run_id} shows the pictures")


def headline(chained: ChainResult) -> dict[str, float]:
    """The metrics by which runs of main are compared: those of the bundle on heads that did not calibrate it."""
    evaluated = chained.evaluation.finished.data.metrics
    return {name: evaluated[name] for name in ("top_1", "top_3", "top_5") if name in evaluated}


def begin(main: Main, active: Run) -> None:
    """Name and tag the run of main or of a plan, and log all its parameters, also those that were not given."""
    given = values_of(main)
    if is_generated(active.info.run_name):
        defaults = {field.name: field.default for part in reversed(MAIN) for field in own_fields(part)}
        mlflow.set_tag("mlflow.runName", main_name(given, defaults))
    mlflow.set_tag(ENTRY_POINT, "plan" if main.options.plan else "main")
    mlflow.log_params({name: as_text(value) for name, value in given.items() if name not in active.data.params})


def values_of(main: Main) -> dict[str, Any]:
    """All values that a user of main can give, by parameter."""
    parts = [getattr(main, field.name) for field in dataclasses.fields(main)]
    return {field.name: getattr(part, field.name) for part in reversed(parts) for field in own_fields(type(part))}


if __name__ == "__main__":
    with one_line_errors("main"):
        main = Main.parse(sys.argv[1:])
        with driver_run() as active:
            begin(main, active)
            print_plan(main) if main.options.plan else run_main(main, active)
