"""The driver: chains the steps through `_get_or_run` and logs the comparison."""

import sys
from dataclasses import dataclass
from typing import Any

import mlflow
from mlflow.entities import Run

from crystal_eyes.parameters import parse
from pipeline.chain import Main, run_chain
from pipeline.get_or_run import _get_or_run
from pipeline.plan import print_plan
from pipeline.report import as_text, log_comparison
from pipeline.step import one_line_errors


@dataclass
class Finished:
    run: Run

    def output(self, name: str) -> str:
        return f"runs:/{self.run.info.run_id}/{name}"


def main(config: Any) -> None:
    def run(entry_point: str, parameters: dict[str, Any]) -> Finished:
        return Finished(_get_or_run(entry_point, parameters, use_cache=config.cache == "on"))

    results = run_chain(config, run)
    table = log_comparison({name: result.run for name, result in results.items()})
    store = mlflow.get_tracking_uri()
    print(
        f"\n{as_text(table)}\n\n"
        f"To look at it:  mlflow ui --backend-store-uri {store}   then open http://127.0.0.1:5000\n"
        "There: the newest run named main, its description links to each classifier; Artifacts has comparison.png.\n"
        "Below each classifier: answers.png, confused_pairs.png, per_character.csv. Below prepare: contact_sheet.png."
    )


if __name__ == "__main__":
    with one_line_errors("main"):
        config = parse(Main, sys.argv[1:])
        with mlflow.start_run():
            mlflow.set_tag("mlflow.runName", "plan" if config.plan else "main")
            print_plan(config) if config.plan else main(config)
