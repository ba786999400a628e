from crystal_eyes.recognizer.build.model_card import model_card
from crystal_eyes.recognizer.build.roles import rows_by_role
from tests.unit.recognizer.build.made_up import table


def test_the_model_card_says_the_figures_and_where_it_comes_from(known, unlikeness):
    some = table(0).assign(set=["adventurer", "own"] * 60)
    rows = rows_by_role(some)
    figures = {"colour_top_5": 0.91234, "line_top_5": float("nan"), "colour_heads": 321.0, "colour_auroc": 0.87654}
    figures |= {"enrol_3_top_1": 0.123, "enrol_1_called_unknown_at_5": 0.049, "enrol_5_top_5": 0.987}
    figures |= {"enrol_characters": 20.0, "enrol_known_top_1_after": 0.61, "line_drawn_heads": 12.0, "line_drawn_top_5": 0.444}
    card = model_card(some, rows, figures, ("probability", "mean"), "lda", {"embeddings": "12{3}"})
    assert "| top-5 | 0.912 | - |" in card and "| heads | 321 | - |" in card and "AUROC | 0.877 | - |" in card
    assert f"come from {len(rows['train'])} heads. {len(rows['calibration'])} heads of" in card
    assert f"{len(rows['report'])} more" in card and f"Unknown characters: {len(rows['strangers_report'])} heads" in card
    assert "among 10 characters" in card and "adventurer, own" in card and "- embeddings: `12{3}`" in card
    assert "probability and mean" in card and "on the 12 that were drawn without color, top-5 is 0.444" in card
    assert "Enrolling 20 characters" in card and "0.610" in card and "nan" not in card
    assert "| top-1 | - | 0.123 | - |" in card and "| top-5 | - | - | 0.987 |" in card
    assert "| called unknown (p <= 0.05) | 0.049 | - | - |" in card
    assert "CC BY 4.0" in card and "AGPL-3.0" in card
    plain = model_card(some.assign(set=""), rows, {}, ("mean",), "perceptron", {})
    assert "CC BY 4.0" not in plain and "none named" in plain and "drawn without color" not in plain
