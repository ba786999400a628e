import numpy as np
import pandas as pd

from crystal_eyes.recognizer.build.by_set import COLUMNS, Tested, accuracy_by_set
from tests.unit.recognizer.build.made_up import heads


def test_each_set_is_counted_and_measured_by_itself(known):
    parts = [heads(0, 10, 3, seed=7), heads(0, 10, 2, seed=8)]
    characters = np.concatenate([part.characters for part in parts])
    number = {name: place for place, name in enumerate(np.unique(characters))}
    series = ["", "Odd", "Even"]
    table = pd.DataFrame(
        {
            "character": characters,
            "set": [f"set {number[name] % 3}" for name in characters],
            "series": [series[0] if number[name] == 4 else series[1 + number[name] % 2] for name in characters],
        }
    )
    rows = np.split(np.arange(len(table)), [len(parts[0])])
    temperatures = (0.5, 2.0)
    tested = [Tested(known, part, own, t) for part, own, t in zip(parts, rows, temperatures)]
    used = np.arange(0, len(table), 2)
    found = accuracy_by_set(table, used, tested)
    assert list(found.columns) == list(COLUMNS) and found["set"].tolist() == ["", "set 0", "set 1", "set 2"]

    of_character = dict(zip(table["character"], table["series"]))
    for line in found.itertuples():
        hits, among, right = [], [], []
        for part, own, temperature in zip(parts, rows, temperatures):
            logits = known.classifier.logits(part.embeddings)
            for row, scores in zip(own, logits):
                if line.set not in ("", table["set"][row]):
                    continue
                order = known.names[np.argsort(-scores)]
                hits.append(order[0] == characters[row])
                among.append(characters[row] in order[:5])
                if table["series"][row]:
                    powers = np.exp((scores - scores.max()) / temperature)
                    sums = {
                        one: sum(p for p, name in zip(powers, known.names) if of_character[name] == one) for one in series[1:]
                    }
                    right.append(max(sums, key=sums.__getitem__) == table["series"][row])
        own = table.iloc[used]
        own = own[own["set"] == line.set] if line.set else own
        assert (line.characters, line.heads, line.tested) == (own["character"].nunique(), len(own), len(hits))
        np.testing.assert_allclose([line.top_1, line.top_5, line.series_top_1], [np.mean(hits), np.mean(among), np.mean(right)])


def test_a_dataset_without_sets_and_series_has_one_line_without_them(known):
    part = heads(0, 10, 2, seed=7)
    table = pd.DataFrame({"character": part.characters, "set": "", "series": ""})
    rows = np.arange(len(table))
    found = accuracy_by_set(table, rows, [Tested(known, part, rows, 1.0)])
    assert len(found) == 1 and np.isnan(found["series_top_1"][0]) and found["tested"][0] == len(table)
