"""Links into MLflow's UI, for descriptions that it shows."""

from mlflow.entities import RunInfo


def run_page(info: RunInfo) -> str:
    """Where the UI shows a run. Without the last part, MLflow 3 shows its interface for language models."""
    return f"#/experiments/{info.experiment_id}/runs/{info.run_id}?workflowType=machine_learning"


def run_link(info: RunInfo) -> str:
    """Markdown: a run's name, which leads to its page."""
    return f"[{info.run_name}]({run_page(info)})"
