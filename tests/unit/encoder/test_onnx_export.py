import copy

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from crystal_eyes.data.catalogue import Catalogue, write
from crystal_eyes.encoder.dataset import DecodedHeads, HeadViews
from crystal_eyes.encoder.onnx_export import TOLERANCE, largest_difference
from crystal_eyes.encoder.runtime import OnnxEncoder
from crystal_eyes.errors import UserError
from crystal_eyes.images import load_head
from tests.runs import ROOT


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize("count", [1, 2, 3, 17])
def test_any_number_of_pictures_gives_what_torch_gives(exported, count):
    encoder, path = exported
    with torch.inference_mode():
        expected = encoder(torch.from_numpy(pictures(count))).numpy()
    found = OnnxEncoder(path)(pictures(count))
    assert found.shape == (count, 16) and found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=TOLERANCE, rtol=0)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert largest_difference(encoder, path, pictures(count)) <= TOLERANCE


def test_the_file_takes_pictures_as_they_are_stored(exported):
    session = onnxruntime.InferenceSession(exported[1], providers=["CPUExecutionProvider"])
    (given,), (answer,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.type, given.shape[1:]) == ("pictures", "tensor(uint8)", [32, 32, 3])
    assert (answer.name, answer.type, answer.shape[1:]) == ("embeddings", "tensor(float)", [16])
    assert isinstance(given.shape[0], str) and given.shape[0] == answer.shape[0]  # any number


def test_the_file_says_all_that_serving_needs(exported):
    _, path = exported
    encoder = OnnxEncoder(path)
    assert encoder.metadata == {
        "image_size": "32", "color_order": "RGB", "backbone": "mnasnet_small", "embedding_size": "16",
        "training_catalogue": "0123",
    }  # fmt: skip
    assert (encoder.image_size, encoder.embedding_size) == (32, 16)


def test_everything_is_in_the_one_file(exported):
    _, path = exported
    assert [file.name for file in path.parent.iterdir()] == ["encoder.onnx"]
    model = onnx.load(path, load_external_data=False)
    assert not any(onnx.external_data_helper.uses_external_data(tensor) for tensor in model.graph.initializer)
    onnx.checker.check_model(model, full_check=True)


def test_the_file_holds_no_path_of_the_machine_that_wrote_it(exported):
    """Else a published bundle would show whose machine it was, and equal encoders would give other bytes in another folder."""
    data = exported[1].read_bytes()
    assert str(ROOT).encode() not in data and b"stack_trace" not in data


def test_a_file_that_answers_otherwise_is_refused(exported):
    encoder, path = exported
    tampered = copy.deepcopy(encoder)
    with torch.no_grad():
        tampered.backbone.classifier.weight[0] += 0.05
    with pytest.raises(UserError, match="differs from torch by .*, more than 0.0001") as caught:
        largest_difference(tampered, path, pictures(4))
    assert "\n" not in str(caught.value)
    with torch.no_grad():
        tampered.backbone.classifier.weight.fill_(float("nan"))
    with pytest.raises(UserError, match="differs from torch by nan"):
        largest_difference(tampered, path, pictures(4))


def assert_one_and_the_same(exported, catalogue: Catalogue) -> None:
    encoder, path = exported
    table = catalogue.table()
    heads = HeadViews(DecodedHeads(catalogue, table), range(len(table)), encoder.description.image_size)
    with torch.inference_mode():
        trained = encoder(torch.from_numpy(np.stack([picture for picture, _ in heads]))).numpy()
    places = zip(table["offset"], table["length"], table["digest"])
    served = OnnxEncoder(path)(np.stack([load_head(catalogue.read(*place), 32) for place in places]))
    np.testing.assert_allclose(served, trained, atol=1e-4, rtol=0)
    assert np.abs(served - served[0]).max() > 1e-3  # it does look at the pictures


def test_training_and_serving_see_the_same(exported, catalogue):
    assert_one_and_the_same(exported, catalogue)


def test_training_and_serving_see_the_same_in_real_pictures(exported, catalogue, real_characters, tmp_path):
    files = [file for suffix in ("jpg", "webp") for file in sorted(real_characters.glob(f"*/*/0000.{suffix}"))[::60][:16]]
    assert {file.suffix for file in files} == {".jpg", ".webp"}
    table = catalogue.table()
    table = table.iloc[np.arange(len(files)) % len(table)].reset_index(drop=True)
    write(tmp_path / "real", table, [file.read_bytes() for file in files])
    assert_one_and_the_same(exported, Catalogue(tmp_path / "real"))


@pytest.mark.parametrize("content", ["nothing", "text", "another network"])
def test_a_file_that_is_not_an_encoder_is_refused(tmp_path, content):
    path = tmp_path / "x.onnx"
    if content == "text":
        path.write_text("hello\nthere\n")
    elif content == "another network":
        given = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
        node = onnx.helper.make_node("Identity", ["x"], ["y"])
        answer = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
        graph = onnx.helper.make_graph([node], "g", [given], [answer])
        onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9), path)
    with pytest.raises(UserError, match="not a Crystal Eyes encoder") as caught:
        OnnxEncoder(path)
    assert "\n" not in str(caught.value)
