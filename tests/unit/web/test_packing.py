"""Packed ONNX files expand to what they were, with weights in 8 bits."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from crystal_eyes.detector.runtime import HeadDetector
from crystal_eyes.onnx_session import open_session
from crystal_eyes.onnx_storage import store_half
from crystal_eyes.recognizer.pictures import pixels
from crystal_eyes.web.packing import COPY, MIN_PACKED, expand, pack, pack_detector, quantize
from crystal_eyes.web.rendering import EXAMPLES
from tests.runs import HEAD_DETECTOR

SHAPE = (40, 30)


def model(halved: bool, raw: bool = True, shape: tuple[int, int] = SHAPE) -> bytes:
    """An ONNX file that multiplies [n, rows] by a matrix and adds a vector."""
    rng = np.random.default_rng(0)
    weights, bias = rng.normal(size=shape).astype(np.float32), rng.normal(size=shape[1]).astype(np.float32)
    tensors = [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(bias, "bias")]
    if not raw:
        tensors[0] = helper.make_tensor("weights", TensorProto.FLOAT, shape, weights.ravel().tolist())
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", shape[0]])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", shape[1]])
    node = helper.make_node("Gemm", ["x", "weights", "bias"], ["y"])
    made = helper.make_model(helper.make_graph([node], "one", [given], [out], tensors), ir_version=9,
                             opset_imports=[helper.make_opsetid("", 18)])  # fmt: skip
    made.metadata_props.add(key="kind", value="test")
    if halved:
        store_half(made)
    return made.SerializeToString()


@pytest.mark.parametrize("halved", [False, True])
def test_a_model_runs_after_packing_with_its_weights_rounded(halved):
    data = model(halved)
    packed = pack(data)
    expanded = expand(packed)
    assert len(packed) < (0.75 if halved else 0.5) * len(data) and len(expanded) == len(data)
    before, after = (onnx.load_from_string(one) for one in (data, expanded))
    assert after.metadata_props[0].value == "test" and len(after.graph.node) == len(before.graph.node)
    for old, new in zip(before.graph.initializer, after.graph.initializer):
        old, new = (numpy_helper.to_array(one).astype(np.float32) for one in (old, new))
        if old.size < MIN_PACKED:
            assert np.array_equal(old, new)
        else:
            step = np.abs(old).max(axis=1, keepdims=True) / 127
            assert np.abs(old - new).max() > 0 and (np.abs(old - new) <= 0.56 * step).all()
    x = np.random.default_rng(1).normal(size=(3, SHAPE[0])).astype(np.float32)
    y, z = (open_session(one, 1).run(None, {"x": x})[0] for one in (data, expanded))
    assert np.abs(y - z).max() < 0.1


@pytest.mark.parametrize("data", [model(False, shape=(4, 4)), model(False, raw=False)], ids=["small", "not raw"])
def test_a_model_without_weights_that_can_be_packed_stays_as_it_is(data):
    assert expand(pack(data)) == data


def test_a_packed_detector_is_smaller_and_finds_the_same_boxes(tmp_path):
    data = (HEAD_DETECTOR / "detector.onnx").read_bytes()
    packed = pack_detector(data)
    assert len(packed) < 0.75 * len(data)
    (tmp_path / "detector.onnx").write_bytes(expand(packed))
    old, new = HeadDetector(HEAD_DETECTOR, threads=1), HeadDetector(tmp_path, threads=1)
    for path in EXAMPLES:
        (boxes, scores), (same, same_scores) = old.detect(pixels(path)), new.detect(pixels(path))
        assert len(boxes) and np.abs(boxes - same).max() < 0.5 and np.abs(scores - same_scores).max() < 0.01


def test_a_detector_whose_last_layers_have_other_names_stays_as_it_is():
    data = model(True, shape=(200, 200))
    assert expand(pack_detector(data)) == data and len(pack(data)) < 0.75 * len(data) < len(pack_detector(data))


def test_equal_models_give_equal_bytes():
    assert pack(model(True)) == pack(model(True)) and COPY.encode() in pack(model(True))


@pytest.mark.parametrize("data", [b"\xff" * 40, b"not a model at all", model(False)[:-300]])
def test_what_is_not_an_onnx_file_is_refused(data):
    with pytest.raises(ValueError, match="not an ONNX file"):
        pack(data)


def test_rows_of_zeros_stay_zero():
    scales, whole = quantize(np.zeros((2, 3), np.float32))
    assert not scales.any() and not whole.any()
