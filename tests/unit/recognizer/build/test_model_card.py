import numpy as np
import pandas as pd

from crystal_eyes.recognizer.build.by_set import COLUMNS
from crystal_eyes.recognizer.build.model_card import model_card
from crystal_eyes.recognizer.build.options import BundleOptions
from crystal_eyes.recognizer.build.roles import rows_by_role
from tests.unit.recognizer.build.made_up import table

BY_SET = pd.DataFrame(
    [["", 10, 120, 40, 0.5, 0.75, 0.8], ["adventurer", 10, 60, 0, np.nan, np.nan, np.nan]], columns=list(COLUMNS)
)


def made(some, figures=None, unlikeness=("mean",), classifier="lda", source=None, trained_here=True, **options) -> str:
    rows = rows_by_role(some)
    fitted = np.arange(len(some)) if options.get("fit_all_heads") else rows["train"]
    given = BundleOptions(**options)
    return model_card(some, rows, figures or {}, unlikeness, classifier, source or {}, given, fitted, BY_SET, trained_here)


def test_the_model_card_says_the_figures_and_where_it_comes_from(known, unlikeness):
    some = table(0).assign(set=["adventurer", "own"] * 60)
    rows = rows_by_role(some)
    figures = {"colour_top_5": 0.91234, "line_top_5": float("nan"), "colour_heads": 321.0, "colour_auroc": 0.87654}
    figures |= {"enrol_3_top_1": 0.123, "enrol_1_called_unknown_at_5": 0.049, "enrol_5_top_5": 0.987}
    figures |= {"enrol_characters": 20.0, "enrol_known_top_1_after": 0.61, "line_drawn_heads": 12.0, "line_drawn_top_5": 0.444}
    card = made(some, figures, ("probability", "mean"), "lda", {"embeddings": "12{3}"})
    assert "| top-5 | 0.912 | - |" in card and "| heads | 321 | - |" in card and "AUROC | 0.877 | - |" in card
    assert f"come from {len(rows['train'])} heads. {len(rows['calibration'])} heads of" in card
    assert f"{len(rows['report'])} more" in card and f"Unknown characters: {len(rows['strangers_report'])} heads" in card
    assert "among 10 characters" in card and "adventurer, own" in card and "- embeddings: `12{3}`" in card
    assert "probability and mean" in card and "on the 12 that were drawn without color, top-5 is 0.444" in card
    assert "Enrolling 20 characters" in card and "0.610" in card and "nan" not in card
    assert "| top-1 | - | 0.123 | - |" in card and "| top-5 | - | - | 0.987 |" in card
    assert "| called unknown (p <= 0.05) | 0.049 | - | - |" in card
    assert "CC BY 4.0" in card and "AGPL-3.0" in card
    plain = made(some.assign(set=""))
    assert "CC BY 4.0" not in plain and "none named" in plain and "drawn without color" not in plain


def test_the_card_has_the_results_of_each_set():
    card = made(table(0))
    assert "Of all 40 held-out heads" in card
    assert "| all | 10 | 120 | 40 | 0.500 | 0.750 | 0.800 |" in card and "| adventurer | 10 | 60 | 0 | - | - | - |" in card


def test_the_card_of_the_release_is_for_users_and_lawyers_and_that_of_others_makes_no_claim_for_them():
    some = table(0).assign(series=["Left", "Right"] * 60)
    card = made(some, released=True, thumbnails=False, fit_all_heads=True)
    assert card.startswith("# The released recognizer of Crystal Eyes") and "characters of 2 series" in card
    for claim in ("public repositories for research", "most sources state no license", "No picture and no part of one",
                  "Apache-2.0", "open an issue", "--remove", "contains no picture"):  # fmt: skip
        assert claim in card and claim not in made(some)
    assert "come from 120 heads: all that there are" in card and "nothing was tuned on these" in card
    assert "{" not in card


def test_the_card_says_whether_the_encoder_may_have_seen_the_heads_of_its_figures():
    here, elsewhere = made(table(0)), made(table(0), trained_here=False)
    assert "on none of those for calibration and figures" in here and "the encoder never saw" in here
    assert "which would make the figures too good" in elsewhere and "the encoder never saw" not in elsewhere
