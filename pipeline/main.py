"""The driver: chains the steps through `_get_or_run` and logs the comparison."""

import sys
from typing import Any

import mlflow
from mlflow import MlflowClient

from pipeline.chain import StepResult, run_chain
from pipeline.get_or_run import _get_or_run, current_experiment
from pipeline.parameters.entry_points import Main
from pipeline.plan import print_plan
from pipeline.promote import promote
from pipeline.report import as_text, log_comparison, run_page
from pipeline.step import one_line_errors


def run_main(main: Main) -> None:
    def run(entry_point: str, parameters: dict[str, Any]) -> StepResult:
        return StepResult(_get_or_run(entry_point, parameters, use_cache=main.options.cache == "on"))

    chained = run_chain(main, run)
    table = log_comparison({name: result.finished for name, result in chained.classifiers.items()})
    mlflow.set_tag("bundle_run", chained.bundle.finished.info.run_id)
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
        main = Main.parse(sys.argv[1:])
        with mlflow.start_run():
            mlflow.set_tag("mlflow.runName", "plan" if main.options.plan else "main")
            print_plan(main) if main.options.plan else run_main(main)
