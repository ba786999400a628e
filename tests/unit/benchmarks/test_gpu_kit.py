import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmarks.gpu import pack, train, unpack
from crystal_eyes.data.catalogue import PICTURES, Catalogue, write
from crystal_eyes.images import open_picture
from pipeline.cache.digests import digest_path


def table(sets: dict[str, int], characters: int = 3) -> pd.DataFrame:
    rows = [
        {"file": f"{name}/{character}/{i}.png", "character": f"{name} {character}", "set": name}
        for name, heads in sets.items() for character in range(characters) for i in range(heads)
    ]  # fmt: skip
    fixed = {"series": "", "artwork": "", "monochrome": False, "width": 8, "height": 8, "classifier_split": ""}
    return pd.DataFrame(rows).assign(encoder_split="train", **fixed)


def pictures(n: int) -> list[bytes]:
    """n different encoded pictures of about 300 bytes."""
    found = []
    for seed in range(n):
        stream = io.BytesIO()
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(stream, "PNG")
        found.append(stream.getvalue())
    return found


def test_heads_that_are_reported_on_do_not_travel_and_characters_stay_together():
    given = table({"a": 4, "b": 7})
    given.loc[given["file"].str.endswith("/0.png"), "encoder_split"] = ""
    found = pack.chosen(given, first=["b"], per_character=5)
    assert set(found["encoder_split"]) == {"train"}
    assert found.groupby("character").size().max() == 5
    assert found["set"].tolist() == ["b"] * 15 + ["a"] * 9
    assert (found["character"] != found["character"].shift()).sum() == 6


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_what_is_packed_in_parts_is_a_catalogue_of_the_heads_that_are_there(tmp_path, monkeypatch, parts):
    given, data = table({"a": 4, "b": 7}), pictures(33)
    common = tmp_path / "pack/common"
    write(common, given, data)
    (common / PICTURES).rename(tmp_path / "pack" / PICTURES)
    size = sum(file.stat().st_size for file in common.iterdir())
    monkeypatch.setattr(pack, "PART", size + 3000)
    pack.write_parts(tmp_path / "pack", common, tmp_path / "pack" / PICTURES)
    assert all(sum(f.stat().st_size for f in part.iterdir()) <= size + 3000 for part in (tmp_path / "pack").glob("part-*"))
    together = tmp_path / "there"
    together.mkdir()
    for number in range(parts):
        for file in (tmp_path / f"pack/part-{number}").iterdir() if (tmp_path / f"pack/part-{number}").exists() else ():
            file.rename(together / file.name)
    catalogue = Catalogue(train.assemble(together, tmp_path / "work", []))
    found = catalogue.table()
    assert found["file"].tolist() == given["file"][: len(found)].tolist()
    assert [catalogue.read(*place) for place in zip(found["offset"], found["length"], found["digest"])] == data[: len(found)]
    pieces = sorted((tmp_path / "pack").glob("part-*/*")) + sorted(together.glob("pictures.bin.*"))
    assert len(found) == 33 or len(list(pieces)) > parts  # heads are missing only while a part is


def test_sets_that_are_away_are_tested_on_and_their_characters_are_not_trained_on_in_another_set(tmp_path):
    given = table({"a": 4, "b": 4})
    given.loc[given["character"] == "a 0", "character"] = "b 0"  # a character of both sets
    write(tmp_path / "pack", given, pictures(24))
    (tmp_path / "pack" / PICTURES).rename(tmp_path / "pack" / f"{PICTURES}.00")
    found = Catalogue(train.assemble(tmp_path / "pack", tmp_path / "work", ["b"])).table()
    assert found.groupby("encoder_split")["set"].unique().map(set).to_dict() == {"train": {"a"}, "validation": {"b"}}
    assert "b 0" not in set(found["character"][found["encoder_split"] == "train"])
    assert len(found) == 8 + 12


def test_a_head_is_made_small_but_not_larger():
    large, small = (Image.new("RGBA", size, (10, 20, 30, 0)) for size in ((400, 500), (30, 40)))
    assert open_picture(pack.shrink(large, 160)).size == (160, 200)
    assert open_picture(pack.shrink(small, 160)).size == (30, 40)
    assert open_picture(pack.shrink(large, 160)).mode == "RGBA"


def test_an_encoder_names_a_catalogue_only_if_it_was_trained_on_heads_for_training_there(tmp_path):
    given = table({"a": 4, "b": 4})
    given.loc[given["character"] == "a 0", "encoder_split"] = "validation"
    write(tmp_path / "own", given.assign(original_name="名"), pictures(24))
    drawn = given.head(1).assign(file="pairs/1.webp", set="pairs", encoder_split="train")
    write(tmp_path / "pack/part-0", pd.concat([given.head(20), drawn]), pictures(21))
    assert unpack.trained_on(tmp_path / "pack", tmp_path / "own", []) == digest_path(tmp_path / "own")
    with pytest.raises(SystemExit, match="trained without a, on another split"):
        unpack.trained_on(tmp_path / "pack", tmp_path / "own", ["a"])
    write(tmp_path / "other", given.assign(encoder_split=["test", *given["encoder_split"][1:]]), pictures(24))
    with pytest.raises(SystemExit, match="1 heads of the validation part are not in that of .*such as a/0/0.png"):
        unpack.trained_on(tmp_path / "pack", tmp_path / "other", [])
