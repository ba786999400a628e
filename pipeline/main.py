"""The driver: chains the steps through `_get_or_run` and logs the comparison."""

import sys
from dataclasses import dataclass
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Run

from pipeline.chain import Main, run_chain
from pipeline.get_or_run import _get_or_run, current_experiment
from pipeline.parameters.declare import parse
from pipeline.plan import print_plan
from pipeline.promote import promote
from pipeline.report import as_text, log_comparison, run_page
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
    table = log_comparison({name: result.run for name, result in chained.classifiers.items()})
    mlflow.set_tag("bundle_run", chained.bundle.run.info.run_id)
    promoted = promote(chained, run)
    # the UI's list of experiments then leads to runs and metrics, not to traces of language models
    MlflowClient().set_experiment_tag(current_experiment(), "mlflow.experimentKind", "custom_model_development")
    info = mlflow.active_run().info
    store = mlflow.get_tracking_uri()
    served = store.startswith("http")
    print(
        f"\n{as_text(table)}\n\n{promoted}\n\n"
        + "To use it:      crystal-eyes recognize PICTURE, or crystal-eyes serve for the page\n"
        + ("" if served else f"To look at it:  mlflow ui --backend-store-uri {store}\n")
        + f"This run:       {store if served else 'http://127.0.0.1:5000'}/{run_page(info)}\n"
        "Its description links to each classifier, its artifacts hold comparison.png. Below a classifier: answers.png,\n"
        "confused_pairs.png and per_character.csv; below prepare: contact_sheet.png;\n"
        "below train and distill: the curves by epoch."
    )


if __name__ == "__main__":
    with one_line_errors("main"):
        config = parse(Main, sys.argv[1:])
        with mlflow.start_run():
            mlflow.set_tag("mlflow.runName", "plan" if config.plan else "main")
            print_plan(config) if config.plan else main(config)
