"""The model card of a bundle: data, recipe, figures, limits, licenses."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from crystal_eyes.recognizer.build.by_set import MEASURES
from crystal_eyes.recognizer.build.options import BundleOptions
from crystal_eyes.recognizer.enrolled_unlikeness import COUNTS

CARD = """# {title}

Finds the heads of drawn characters in a picture, recognizes them among {characters} characters{series}, and scores how
dissimilar a head is to all of them. Needs numpy, Pillow and onnxruntime.

## Data
{origin}
{fitted}
{encoder} Sets: {sets}.

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
art){drawn}. {degraded}ECE: expected calibration error of the first answer. Unknown characters: {strangers} heads of
characters that {unseen}; AUROC, FPR at 95 % TPR, OSCR and verdicts were measured with a classifier fitted without them.

| verdicts on colored heads | called known | called unknown | first answer above 0.5 |
|---|---|---|---|
{verdicts}

Enrolling {enrolled} characters that had been held out, next to the others:

| colored heads of a character that was enrolled | from 1 head | from 3 | from 5 |
|---|---|---|---|
{enrolled_rows}

Top-1 of the other characters changed from {enrol_before_1} to {enrol_after_1}, top-5 from {enrol_before} to {enrol_after}.
{by_set}
## Limits

- It knows only the characters in `characters.json`. "Unlike everything in this catalogue" refers to these alone: it is no
  statement about originality in the legal sense.
- A head is called unknown at a p-value of 0.05: about 5 in 100 of the heads of known characters that are named right are, if
  they are drawn like the catalogue's, and more of those that are named wrong.
- Line art and gray pictures are recognized less accurately; their probabilities are lower accordingly.
- Characters that look alike (same hair, same colors) are confused.{known_limits}
- The accuracy applies to heads cropped like those of the catalogue. Heads that the detector misses or crops differently are not
  included.

## Licenses

{license} The detector's weights were trained with ultralytics (AGPL-3.0). {pictures}
{credits}{removal}"""

FITTED = """\
The classifier, the class means and the gallery come from {train} heads. {calibration} heads of the same characters, from other
artworks, were used for calibration; {report} more (again from other artworks) for the figures below."""
FITTED_ON_ALL = """\
The classifier, the class means and the gallery come from {train} heads: all that there are. Calibration and figures come from
classifiers with the same options and fewer heads: {calibration} heads calibrate one that was fitted without their artworks,
{report} more (from other artworks) measure one that was fitted without theirs, and nothing was tuned on these."""
TRAINED_HERE = "The encoder was trained on the training part of these heads, and on none of those for calibration and figures."
TRAINED_ELSEWHERE = """\
The encoder was not trained on exactly this catalogue: it may have been shown some of the heads for calibration and figures,
which would make the figures too good."""
RELEASED_ORIGIN = """
The pictures are heads of characters from games, anime and fan art, collected from public repositories for research on
recognition. They belong to their owners; most sources state no license. No picture and no part of one is in this folder: it
holds weights, and for each character its name, its series and embeddings (lists of numbers that stand for the look of a head).
"""
LICENSE = "The code is part of Crystal Eyes."
RELEASED_LICENSE = """\
The code and the weights of encoder and classifier are part of Crystal Eyes (Apache-2.0, without warranty). That license grants
no rights in the characters, their names or their pictures, which belong to their owners. A name in an answer is a guess: it
does not say who drew a picture, or who owns it."""
RELEASED_REMOVAL = """
## Removing a character

If you own a character or pictures of it, or speak for the owner: open an issue in the project's repository that names the
character and the series. The next release is then made without it. A character that you enrolled yourself is removed by
`crystal-eyes enroll --character NAME --remove`.
"""
RELEASED_LIMITS = """
- In some styles there are few male faces or none.
- Labels are those of the sources, checked by eye on contact sheets. In some sets, a few in a hundred are wrong.
- Most characters that have ever been drawn are not in the list. The verdict tells them from the known ones as often as measured
  above, no more."""
BY_SET = """
## Results by set

Of all {tested} held-out heads, each named by a classifier that was fitted without it. The last column counts the heads whose
series has the largest sum of its characters' probabilities. Characters and heads are those in this folder.

| set | characters | heads | tested | top-1 | top-5 | series |
|---|---|---|---|---|---|---|
{rows}
"""

DEGRADED = """\
Of {0} colored heads that were made small (24 pixels and more), compressed, lit in color, tilted, covered in part or badly
framed, top-1 is {1} and top-5 {2}. """
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
    ("right_called_unknown_at_5", "known heads that are named right with p <= 0.05"),
    ("auroc", "unknown characters: AUROC"), ("fpr_95", "unknown characters: FPR at 95 % TPR"),
    ("oscr", "unknown characters: OSCR"),
]  # fmt: skip

VERDICTS = ("called_known", "called_unknown", "above_half")
VERDICT_ROWS = [("right", "of known characters, named right"), ("strangers", "of unknown characters")]
ENROLLED_ROWS = [("top_1", "top-1"), ("top_5", "top-5"), ("called_unknown_at_5", "called unknown (p <= 0.05)")]


def model_card(
    table: pd.DataFrame,
    roles: Mapping[str, np.ndarray],
    figures: Mapping[str, float],
    unlikeness: Sequence[str],
    classifier: str,
    source: Mapping[str, str],
    options: BundleOptions,
    fitted: np.ndarray,
    by_set: pd.DataFrame,
    trained_here: bool,
) -> str:
    """Markdown.

    table: of the embeddings; roles: rows_by_role of it; figures: as build_bundle measures them; unlikeness: names of its
    scores; source: digests of the inputs by name; fitted: int rows of the heads in the bundle; by_set: see accuracy_by_set;
    trained_here: whether the encoder is known to have been trained on this catalogue's training part.
    """

    def number(name: str) -> str:
        value = figures.get(name, float("nan"))
        return "-" if np.isnan(value) else f"{value:.0f}" if name.endswith(("heads", "characters")) else f"{value:.3f}"

    rows = [f"| {title} | {number(f'colour_{name}')} | {number(f'line_{name}')} |" for name, title in ROWS]
    sets = sorted({name for name in table["set"] if name})
    drawn = figures.get("line_drawn_heads", 0)
    used, all_heads, released = table.iloc[fitted], options.fit_all_heads, options.released
    series = used.loc[used["series"] != "", "series"].nunique()
    counts = {"train": len(fitted), "calibration": len(roles["calibration"]), "report": len(roles["report"])}
    return CARD.format(
        title="The released recognizer of Crystal Eyes" if released else "Crystal Eyes bundle",
        characters=used["character"].nunique(),
        series=f" of {series} series" if series > 1 else "",
        origin=RELEASED_ORIGIN if released else "",
        fitted=(FITTED_ON_ALL if all_heads else FITTED).format(**counts),
        encoder=TRAINED_HERE if trained_here else TRAINED_ELSEWHERE,
        unseen="the encoder never saw" if trained_here else "serve as unknown ones (the encoder may have seen them)",
        by_set=_by_set(by_set),
        known_limits=RELEASED_LIMITS if released else "",
        license=RELEASED_LICENSE if released else LICENSE,
        removal=RELEASED_REMOVAL if released else "",
        sets=", ".join(sets) or "none named",
        classifier=classifier,
        unlikeness=" and ".join(unlikeness),
        source="\n".join(f"- {name}: `{value}`" for name, value in source.items()),
        rows="\n".join(rows),
        drawn=f"; on the {drawn:.0f} that were drawn without color, top-5 is {number('line_drawn_top_5')}" if drawn else "",
        degraded=DEGRADED.format(*map(number, ("degraded_heads", "degraded_top_1", "degraded_top_5"))),
        strangers=len(roles["strangers_report"]),
        verdicts="\n".join(
            f"| {title} | {' | '.join(number(f'{name}_{what}') for what in VERDICTS)} |" for name, title in VERDICT_ROWS
        ),
        enrolled=number("enrol_characters"),
        enrolled_rows="\n".join(
            f"| {title} | {' | '.join(number(f'enrol_{count}_{name}') for count in COUNTS)} |" for name, title in ENROLLED_ROWS
        ),
        enrol_before_1=number("enrol_known_top_1_before"),
        enrol_after_1=number("enrol_known_top_1_after"),
        enrol_before=number("enrol_known_top_5_before"),
        enrol_after=number("enrol_known_top_5_after"),
        pictures=THUMBNAILS if options.thumbnails else NO_THUMBNAILS,
        credits=CAST if "adventurer" in sets else "",
    )


def _by_set(table: pd.DataFrame) -> str:
    def number(value: float) -> str:
        return "-" if np.isnan(value) else f"{value:.3f}"

    rows = []
    for row in table.to_dict("records"):
        counts = [row["set"] or "all", *(str(row[name]) for name in ("characters", "heads", "tested"))]
        rows.append(f"| {' | '.join([*counts, *(number(row[name]) for name in MEASURES)])} |")
    return BY_SET.format(tested=table["tested"].iloc[0], rows="\n".join(rows))
