"""The model card of a bundle: data, recipe, figures, limits, licenses."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from crystal_eyes.recognizer.enrolled_unlikeness import COUNTS

CARD = """# Crystal Eyes bundle

Finds the heads of drawn characters in a picture, recognizes them among {characters} characters, and scores how dissimilar a
head is to all of them. Needs numpy, Pillow and onnxruntime.

## Data

The classifier, the class means and the gallery come from {train} heads. {calibration} heads of the same characters, from other
artworks, were used for calibration; {report} more (again from other artworks) for the figures below. Sets: {sets}.

## Recipe

A YOLOv5 detector finds heads; an encoder (geffnet backbone, metric learning; in the recipe `best` distilled from two) embeds
them; one linear layer ({classifier}) classifies the embeddings. Probabilities are temperature-scaled, separately for color and
line art. The unlikeness score is {unlikeness}, selected by AUROC on the validation characters of the encoder; its p-value is
conformal, from the calibration heads. A head is also compared with each enrolled character; that p-value is conformal from
heads of held-out characters that were enrolled from 1, 3 and 5 heads, and the largest one counts. The inputs had these digests
(SHA-256):

{source}

## Figures

| on heads that were not used for tuning | color | line art and gray |
|---|---|---|
{rows}

Some of the line art and gray heads are generated from colored ones (half of them in gray, half as line
art){drawn}. ECE: expected calibration error of the first answer. Unknown characters: {strangers} heads of characters that the
encoder never saw; AUROC, FPR at 95 % TPR and OSCR were measured with a classifier fitted without them.

Enrolling {enrolled} characters that had been held out, next to the others:

| colored heads of a character that was enrolled | from 1 head | from 3 | from 5 |
|---|---|---|---|
{enrolled_rows}

Top-1 of the other characters changed from {enrol_before_1} to {enrol_after_1}, top-5 from {enrol_before} to {enrol_after}.

## Limits

- It knows only the characters in `characters.json`. "Unlike everything in this catalogue" refers to these alone: it is no
  statement about originality in the legal sense.
- At a p-value of 0.05, about 5 in 100 heads of known characters are called unknown, if they are drawn like the catalogue's.
- Line art and gray pictures are recognized less accurately; their probabilities are lower accordingly.
- Characters that look alike (same hair, same colors) are confused.
- The accuracy applies to heads cropped like those of the catalogue. Heads that the detector misses or crops differently are not
  included.

## Licenses

The code is part of Crystal Eyes. The detector's weights were trained with ultralytics (AGPL-3.0). {pictures}
{credits}"""

THUMBNAILS = """Thumbnails in the gallery
belong to the artists of the pictures in the dataset: you need their permission to pass this folder on."""
NO_THUMBNAILS = """This folder
contains no picture: the gallery holds embeddings only."""

CAST = "The built-in cast is a remix of art by Lisa Wischofsky (CC BY 4.0, CC0 1.0) and The Visual Team (CC BY 4.0).\n"
# figure's name without its kind, title
ROWS = [
    ("heads", "heads"), ("top_1", "top-1"), ("top_3", "top-3"), ("top_5", "top-5"), ("ece_before", "ECE before scaling"),
    ("ece_after", "ECE after scaling"), ("mean_confidence", "mean confidence of the first answer"),
    ("called_unknown_at_5", "known heads with p <= 0.05"), ("called_unknown_at_10", "known heads with p <= 0.10"),
    ("auroc", "unknown characters: AUROC"), ("fpr_95", "unknown characters: FPR at 95 % TPR"),
    ("oscr", "unknown characters: OSCR"),
]  # fmt: skip

ENROLLED_ROWS = [("top_1", "top-1"), ("top_5", "top-5"), ("called_unknown_at_5", "called unknown (p <= 0.05)")]


def model_card(
    table: pd.DataFrame,
    roles: Mapping[str, np.ndarray],
    figures: Mapping[str, float],
    unlikeness: Sequence[str],
    classifier: str,
    source: Mapping[str, str],
    thumbnails: bool = True,
) -> str:
    """Markdown.

    table: of the embeddings; roles: rows_by_role of it; figures: as build_bundle measures them; unlikeness: names of its
    scores; source: digests of the inputs by name; thumbnails: whether the gallery shows the reference heads.
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
        drawn=f"; on the {drawn:.0f} that were drawn without color, top-5 is {number('line_drawn_top_5')}" if drawn else "",
        strangers=len(roles["strangers_report"]),
        enrolled=number("enrol_characters"),
        enrolled_rows="\n".join(
            f"| {title} | {' | '.join(number(f'enrol_{count}_{name}') for count in COUNTS)} |" for name, title in ENROLLED_ROWS
        ),
        enrol_before_1=number("enrol_known_top_1_before"),
        enrol_after_1=number("enrol_known_top_1_after"),
        enrol_before=number("enrol_known_top_5_before"),
        enrol_after=number("enrol_known_top_5_after"),
        pictures=THUMBNAILS if thumbnails else NO_THUMBNAILS,
        credits=CAST if "adventurer" in sets else "",
    )
