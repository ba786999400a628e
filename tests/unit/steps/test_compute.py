"""What the steps classify, bundle and evaluate compute, without MLflow."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crystal_eyes.classifiers.registry import create, read
from crystal_eyes.data.catalogue import Catalogue
from crystal_eyes.encoder.embeddings import embed_catalogue
from crystal_eyes.encoder.runtime import OnnxEncoder
from crystal_eyes.errors import UserError
from crystal_eyes.recognizer import Recognizer
from crystal_eyes.recognizer.build.roles import rows_by_role
from crystal_eyes.recognizer.pictures import pixels
from steps.compute.bundle import only
from steps.compute.classify import classify
from steps.compute.evaluate import evaluate


@pytest.fixture(scope="module")
def embeddings(catalogue_folder, exported, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("embedded")
    embed_catalogue(OnnxEncoder(exported[1]), Catalogue(catalogue_folder), folder, 64)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("name", ["ridge", "faiss", "nearest_centroid"])
def test_classify_names_the_test_part_with_what_it_writes(name, embeddings, tmp_path):
    done = classify(embeddings, create(name, {}, 0), tmp_path)
    x, table = np.load(embeddings / "embeddings.npy"), pd.read_parquet(embeddings / "table.parquet")
    test = np.flatnonzero(table["classifier_split"] == "test")
    assert done.tested["file"].tolist() == table["file"].iloc[test].tolist()
    written = read(done.folder)
    labels, scores = written.classifier.top_k(x[test], 5)
    np.testing.assert_array_equal(done.candidates, labels)
    np.testing.assert_allclose(done.scores, scores, rtol=1e-5)
    assert done.names.tolist() == written.characters.tolist() == sorted(set(table["character"]))
    for row, rank in enumerate(done.ranks):
        answers = done.names[labels[row]].tolist()
        truth = done.tested["character"].iloc[row]
        assert rank == (answers.index(truth) if truth in answers else 5)
    trained = table["character"][table["encoder_split"] == "train"]
    assert set(done.trained_encoder) == set(trained) and done.fit_seconds > 0 and done.query_seconds > 0


def test_classify_writes_equal_bytes_for_equal_inputs(embeddings, tmp_path):
    folders = [classify(embeddings, create("random_forest", {"random_forest_trees": 5}, 3), tmp_path / n).folder for n in "ab"]
    assert contents(folders[0]) == contents(folders[1])


def test_classify_refuses_embeddings_with_nothing_to_test_on(embeddings, tmp_path):
    table = pd.read_parquet(embeddings / "table.parquet").assign(classifier_split="train")
    table.to_parquet(tmp_path / "table.parquet")
    np.save(tmp_path / "embeddings.npy", np.load(embeddings / "embeddings.npy"))
    with pytest.raises(UserError, match="8 characters for training, 0 heads for testing"):
        classify(tmp_path, create("ridge", {}, 0), tmp_path)


def test_evaluate_names_the_heads_that_are_kept_for_reporting(bundle_folder, catalogue_folder, tmp_path):
    done = evaluate(bundle_folder, catalogue_folder, tmp_path)
    catalogue = Catalogue(catalogue_folder)
    table = catalogue.table()
    rows = table.iloc[rows_by_role(table)["report"]]
    recognizer, hits = Recognizer.load(bundle_folder, 1), []
    names = np.array([name for name, _ in recognizer.naming.characters])
    for row in rows.itertuples():
        data = catalogue.read(row.offset, row.length, row.digest)
        found = recognizer.naming(recognizer.embed([pixels(data)]), np.array([row.monochrome])).probabilities[0]
        ranked = names[np.argsort(-found, kind="stable")[:5]]
        hits.append([name == row.character for name in ranked])
    assert done.hits.tolist() == hits and done.characters.tolist() == rows["character"].tolist() and done.strangers == 0
    answers = pd.read_parquet(done.folder / "answers.parquet")
    assert answers["right"].tolist() == [hit[0] for hit in hits] and answers["among_5"].tolist() == [any(hit) for hit in hits]
    assert (answers["answer"] == answers["character"]).tolist() == answers["right"].tolist()


def test_the_one_file_of_a_folder_is_taken(tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "a.onnx").touch()
    assert only(tmp_path, "*.onnx") == only(tmp_path / "below" / "a.onnx", "*.onnx") == tmp_path / "below" / "a.onnx"
    (tmp_path / "b.onnx").touch()
    for pattern, count in (("*.onnx", 2), ("*.bin", 0)):
        with pytest.raises(UserError, match=f"contains {count} files"):
            only(tmp_path, pattern)
