"""audit: finds what is wrong in a labeled dataset; the table and the page are artifacts."""

from collections.abc import Mapping
from pathlib import Path

import mlflow

from pipeline.metric_names import FOUND
from pipeline.parameters.steps import Audit
from pipeline.step import run_step
from steps.compute import audit as compute


def audit(parameters: Audit, inputs: Mapping[str, Path], workspace: Path) -> dict[str, Path]:
    report = compute.audit(inputs["dataset"], inputs["audited_with"], parameters.confidence, workspace)
    counts = report.audit.counts()
    mlflow.log_metrics({f"{FOUND}{kind.replace(' ', '_')}": count for kind, count in counts.items()})
    mlflow.log_metrics({"heads": len(report.audit.table), "heads_kept": report.kept})
    for line in report.lines():
        print(line)
    return {"audit": report.page.parent}


if __name__ == "__main__":
    run_step("audit", Audit, audit)
