"""Weights stored in 16 bits."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from crystal_eyes.onnx_session import open_session
from crystal_eyes.onnx_storage import rounded, store_file_half, store_half


def product(weight: np.ndarray) -> onnx.ModelProto:
    """A model that multiplies its input by a matrix."""
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "weight"], ["y"])],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", weight.shape[0]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", weight.shape[1]])],
        [numpy_helper.from_array(weight, "weight")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


@pytest.mark.parametrize(("side", "scale", "kinds"), [(20, 1, {TensorProto.FLOAT16}), (20, 1e6, {TensorProto.FLOAT}),
                                                      (8, 1, {TensorProto.FLOAT})])  # fmt: skip
def test_what_fits_is_stored_in_16_bits_and_computes_as_rounded_says(side, scale, kinds, tmp_path):
    rng = np.random.default_rng(0)
    weight = (scale * rng.normal(size=(side, side))).astype(np.float32)
    onnx.save(product(weight), tmp_path / "whole.onnx")
    store_file_half(tmp_path / "whole.onnx", tmp_path / "half.onnx")
    assert {one.data_type for one in onnx.load(tmp_path / "half.onnx").graph.initializer} == kinds
    x = rng.normal(size=(5, side)).astype(np.float32)
    (found,) = open_session((tmp_path / "half.onnx").read_bytes(), 1).run(None, {"x": x})
    np.testing.assert_allclose(found, x @ rounded(weight), rtol=1e-4, atol=1e-4 * scale)
    np.testing.assert_allclose(rounded(weight), weight, rtol=1e-3, atol=1e-4 * scale)


def test_storing_twice_changes_nothing():
    model = product(np.random.default_rng(0).normal(size=(20, 20)).astype(np.float32))
    store_half(model)
    before = model.SerializeToString(deterministic=True)
    store_half(model)
    assert model.SerializeToString(deterministic=True) == before
