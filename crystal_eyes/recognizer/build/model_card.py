"""The model card of a bundle: data, recipe, figures, limits, licenses."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

CARD = """# Crystal Eyes bundle

Finds the heads of drawn characters in a picture and names them among {characters} characters; says how unlike everything it
knows a head is. Needs numpy, Pillow and onnxruntime.

## Data

The classifier, the class means and the gallery come from {train} heads. {calibration} heads of the same characters, from other
artworks, calibrated it; {report} more (again from other artworks) gave the figures below. Sets: {sets}.

## Recipe

A YOLOv5 detector finds heads; an encoder (geffnet backbone, metric learning; in the recipe `best` distilled from two) embeds
them; one linear layer ({classifier}) names the embedding. Probabilities are temperature-scaled, color and line art apart.
Unlikeness is {unlikeness}, chosen by AUROC on the characters that chose the encoder's epoch; its p-value is conformal on the
calibration heads. Made from inputs with these digests (sha256):

{source}

## Figures

| on heads that nothing was tuned on | color | line art and gray |
|---|---|---|
{rows}

Line art and gray heads are in part made from colored ones (every other one gray, the others
lines){drawn}. ECE: expected calibration error of the first answer. Strangers: {strangers} heads of characters that the
encoder never saw; AUROC, FPR at 95 % and OSCR were measured with a classifier fitted without them.

Enrolling {enrolled} characters that had been left out, from at most 5 heads each: top-5 of their other heads is
{enrol_found}; top-5 of the other characters changed from {enrol_before} to {enrol_after}.

## Limits

- It knows the characters in `characters.json` and nobody else. "Unlike everything in this catalogue" speaks of those alone: it
  is no statement about originality in law.
- At a p-value of 0.05 about 5 in 100 heads of known characters are called unknown, if they are drawn like the catalogue's.
- Line art and gray pictures are named less accurately; their probabilities are lower accordingly.
- Characters that look alike (same hair, same colors) are confused.
- Accuracy holds for heads cut like the catalogue's. Heads that the detector misses or cuts otherwise are not included.

## Licenses

The code is part of Crystal Eyes. The detector's weights were trained with ultralytics (AGPL-3.0). Thumbnails in the gallery
belong to the artists of the pictures that were given to `prepare`: passing this folder on needs their permission.
{credits}"""

CAST = "The built-in cast is drawn after art by Lisa Wischofsky (CC BY 4.0, CC0 1.0) and The Visual Team (CC BY 4.0).\n"
# figure's name without its kind, title
ROWS = [
    ("heads", "heads"), ("top_1", "top-1"), ("top_3", "top-3"), ("top_5", "top-5"), ("ece_before", "ECE before scaling"),
    ("ece_after", "ECE after"), ("mean_confidence", "mean confidence of the first answer"),
    ("called_unknown_at_5", "known heads with p <= 0.05"), ("called_unknown_at_10", "known heads with p <= 0.10"),
    ("auroc", "strangers: AUROC"), ("fpr_95", "strangers: FPR at 95 % TPR"), ("oscr", "strangers: OSCR"),
]  # fmt: skip


def model_card(
    table: pd.DataFrame,
    roles: Mapping[str, np.ndarray],
    figures: Mapping[str, float],
    unlikeness: Sequence[str],
    classifier: str,
    source: Mapping[str, str],
) -> str:
    """Markdown.

    table: of the embeddings; roles: rows_by_role of it; figures: as build_bundle measures them; unlikeness: names of its
    scores; source: digests of the inputs by name.
    """

    def number(name: str) -> str:
        value = figures.get(name, float("nan"))
        return "-" if np.isnan(value) else f"{value:.0f}" if name.endswith(("heads", "characters")) else f"{value:.3f}"

    rows = [f"| {title} | {number(f'colour_{name}')} | {number(f'line_{name}')} |" for name, title in ROWS]
    sets = sorted({name for name in table["set"] if name})
    drawn = figures.get("line_drawn_heads", 0)
    return CARD.format(
        characters=table["character"].iloc[roles["train"]].nunique(),
        **{name: len(roles[name]) for name in ("train", "calibration", "report")},
        sets=", ".join(sets) or "none named",
        classifier=classifier,
        unlikeness=" and ".join(unlikeness),
        source="\n".join(f"- {name}: `{value}`" for name, value in source.items()),
        rows="\n".join(rows),
        drawn=f"; on the {drawn:.0f} that were drawn so, top-5 is {number('line_drawn_top_5')}" if drawn else "",
        strangers=len(roles["strangers_report"]),
        enrolled=number("enrol_characters"),
        enrol_found=number("enrol_enrolled_top_5"),
        enrol_before=number("enrol_known_top_5_before"),
        enrol_after=number("enrol_known_top_5_after"),
        credits=CAST if "adventurer" in sets else "",
    )
