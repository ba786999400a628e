"""The comparison of classifiers: a table and a plot on the parent run, with links to the child runs."""

import hashlib
import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import mlflow
import pandas as pd
from mlflow.entities import Run

from crystal_eyes.artifacts import local_path
from crystal_eyes.errors import UserError
from pipeline.cache.digests import digest_file
from pipeline.run_page import run_page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = "crystal_eyes.comparison"  # tag: digest of what comparison.png shows
COLUMNS = ("top_1", "top_3", "top_5", "top_5_low", "top_5_high", "top_5_unseen", "fit_seconds", "queries_per_second",
           "model_bytes")  # fmt: skip


def comparison(children: Mapping[str, Run]) -> pd.DataFrame:
    """One row per classifier, best top-5 first. children: the classifiers' runs by name."""
    rows = [
        {"classifier": name, **{c: run.data.metrics.get(c, float("nan")) for c in COLUMNS}, "run_id": run.info.run_id}
        for name, run in children.items()
    ]
    return pd.DataFrame(rows).sort_values(["top_5", "top_1"], ascending=False, ignore_index=True)


def verdict(table: pd.DataFrame, naming: str, choices: Collection[str] = ()) -> str:
    """Which classifier of a comparison was best, and which one the bundle uses.

    table: as `comparison` gives it. naming: the classifier that the bundle uses. choices: those that a bundle could use.
    """
    best, used = table.iloc[0], table[table["classifier"] == naming]
    first = f"{best['classifier']} (top-5 {best['top_5']:.3f}, top-1 {best['top_1']:.3f})"
    if best["classifier"] == naming:
        return f"Best classifier: {first}, which the bundle uses."
    if used.empty:
        said = f"Best classifier: {first}; the bundle uses {naming}, which was not compared."
    else:
        mine = used.iloc[0]
        said = f"Best classifier: {first}; the bundle uses {naming} (top-5 {mine['top_5']:.3f}, top-1 {mine['top_1']:.3f})."
        if mine["top_5_high"] >= best["top_5"]:
            said += " The difference is within the 95 % interval."
    if best["classifier"] in choices:
        said += f" To use it: -P naming={best['classifier']}"
    return said


def log_comparison(children: Mapping[str, Run], naming: str, choices: Collection[str] = ()) -> pd.DataFrame:
    """Log table, plot, metrics, verdict and links on the active run; returns the table. naming, choices: as in `verdict`."""
    table = comparison(children)
    mlflow.log_metrics({f"{c}/{row['classifier']}": row[c] for _, row in table.iterrows() for c in COLUMNS[:3]})
    if {"perceptron", "faiss"} <= children.keys():
        by_name = table.set_index("classifier")["top_5"]
        mlflow.log_metric("perceptron_minus_faiss_top_5", by_name["perceptron"] - by_name["faiss"])
    mlflow.log_table(table, "comparison.json")
    mlflow.log_text(table.to_csv(index=False), "comparison.csv")
    log_plot(table, children)
    mlflow.set_tag("best_classifier", table["classifier"].iloc[0])
    # MLflow shows this text, with its links, at the top of the run's page
    mlflow.set_tag("mlflow.note.content", f"{verdict(table, naming, choices)}\n\n{note(table, children)}")
    return table


def log_plot(table: pd.DataFrame, children: Mapping[str, Run]) -> None:
    """Log comparison.png: a copy if an earlier main drew the same, as drawing would be most of what a cached main costs."""
    numbers = [[name, children[name].data.metrics] for name in table["classifier"]]
    shown = hashlib.sha256(json.dumps([digest_file(Path(__file__)), numbers], sort_keys=True).encode()).hexdigest()
    same = f"tags.`{SHOWN}` = '{shown}' and attributes.status = 'FINISHED'"
    active = mlflow.active_run()
    assert active is not None
    experiment = active.info.experiment_id
    copied = False
    for run in mlflow.MlflowClient().search_runs([experiment], same, max_results=1):
        with suppress(UserError):  # its artifact was deleted
            mlflow.log_artifact(str(local_path(f"runs:/{run.info.run_id}/comparison.png")))
            copied = True
    if not copied:
        mlflow.log_figure(bar_plot(table, children), "comparison.png")
    mlflow.set_tag(SHOWN, shown)


def bar_plot(table: pd.DataFrame, children: Mapping[str, Run]) -> "Figure":
    """top-1, top-3 and top-5 accuracy of each classifier, with 95 % intervals over characters."""
    from matplotlib.figure import Figure  # takes half a second, and a run of main with everything cached does not need it

    figure = Figure(figsize=(max(5.0, 1.6 + 1.4 * len(table)), 4.2), layout="constrained")
    axes = figure.subplots()
    for place, (k, color) in enumerate(zip((1, 3, 5), ("#9ecae1", "#4292c6", "#08519c"))):
        value = table[f"top_{k}"]
        metrics = [children[name].data.metrics for name in table["classifier"]]
        errors = [
            [max(0.0, v - m.get(f"top_{k}_low", v)) for v, m in zip(value, metrics)],
            [max(0.0, m.get(f"top_{k}_high", v) - v) for v, m in zip(value, metrics)],
        ]
        where = [row + (place - 1) * 0.27 for row in range(len(table))]
        bars = axes.bar(where, value, 0.25, yerr=errors, label=f"top-{k}", color=color, ecolor="#555555", capsize=2)
        axes.bar_label(bars, [f"{v:.2f}" for v in value], label_type="center", fontsize=7,
                       color="black" if k == 1 else "white")  # fmt: skip
    axes.set_xticks(range(len(table)), table["classifier"], rotation=20, ha="right")
    axes.set(ylim=(0, 1), ylabel="accuracy on the test split")
    axes.set_title("Which classifier names heads best? (95 % intervals)")
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure


def note(table: pd.DataFrame, children: Mapping[str, Run]) -> str:
    """Markdown: the comparison with a link to each classifier's run."""
    lines = ["| classifier | top-1 | top-3 | top-5 | 95 % interval |", "|---|---|---|---|---|"]
    for _, row in table.iterrows():
        link = f"[{row['classifier']}]({run_page(children[row['classifier']].info)})"
        lines.append(
            f"| {link} | {row['top_1']:.3f} | {row['top_3']:.3f} | {row['top_5']:.3f} "
            f"| {row['top_5_low']:.3f} to {row['top_5_high']:.3f} |"
        )
    return "\n".join(lines)


def as_text(table: pd.DataFrame) -> str:
    """The comparison for a terminal."""
    lines = [f"{'classifier':<19} {'top-1':>6} {'top-3':>6} {'top-5':>6}  {'95 % of top-5':<15} {'fit s':>8} "
             f"{'queries/s':>10} {'model MB':>9}"]  # fmt: skip
    for _, row in table.iterrows():
        interval = f"{row['top_5_low']:.3f} to {row['top_5_high']:.3f}"
        lines.append(
            f"{row['classifier']:<19} {row['top_1']:6.3f} {row['top_3']:6.3f} {row['top_5']:6.3f}  {interval:<15} "
            f"{row['fit_seconds']:8.1f} {row['queries_per_second']:10.0f} {row['model_bytes'] / 1e6:9.2f}"
        )
    return "\n".join(lines)
