"""The roles of the heads when a bundle is built.

The heads of the classifiers' test part are halved by artwork: one half for calibration, one for the report. Strangers are heads
of characters that the encoder was not trained on: those that selected its epoch also select the unlikeness score, those for
testing are for the report.
"""

import numpy as np
import pandas as pd

from crystal_eyes.data.catalogue import artworks
from crystal_eyes.data.stable_number import stable_number


def rows_by_role(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """int rows of a catalogue's table by role: train, calibration, report, strangers_choose, strangers_report.

    The first three have heads of every character; those of the strangers are among them too.
    """
    character, encoder = table["character"].to_numpy(dtype=str), table["encoder_split"].to_numpy(dtype=str)
    train = (table["classifier_split"] == "train").to_numpy()
    test = (table["classifier_split"] == "test").to_numpy() & np.isin(character, character[train])
    half = np.array([stable_number(f"calibration {name}") % 2 == 0 for name in artworks(table)], bool)
    masks = {"train": train, "calibration": test & half, "report": test & ~half}
    for role, split in (("strangers_choose", "validation"), ("strangers_report", "test")):
        masks[role] = np.isin(character, character[encoder == split])
    return {role: np.flatnonzero(mask) for role, mask in masks.items()}
