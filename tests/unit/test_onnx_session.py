import onnx
import pytest
from onnx import TensorProto, helper

from crystal_eyes.onnx_session import open_session


def constant(**external: str) -> bytes:
    """A network that answers with four numbers that lie in another file."""
    numbers = TensorProto(name="numbers", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    for key, value in external.items():
        numbers.external_data.add(key=key, value=value)
    output = helper.make_tensor_value_info("out", TensorProto.FLOAT, [4])
    graph = helper.make_graph([helper.make_node("Identity", ["numbers"], ["out"])], "g", [], [output], [numbers])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()


@pytest.mark.parametrize("where", ["here", "above", "absolute"])
def test_a_network_reads_no_file_beside_it(tmp_path, monkeypatch, where):
    (tmp_path / "secret.bin").write_bytes(bytes(16))
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path if where == "here" else tmp_path / "below")
    location = {"here": "secret.bin", "above": "../secret.bin", "absolute": str(tmp_path / "secret.bin")}[where]
    data = constant(location=location, offset="0", length="16")
    if where == "here":  # from a path it would
        (tmp_path / "network.onnx").write_bytes(data)
        assert len(onnx.load(tmp_path / "network.onnx").graph.initializer[0].raw_data) == 16
    with pytest.raises(Exception, match="(?i)external|path|initializ"):
        open_session(data)


@pytest.mark.parametrize(("threads", "expected"), [(None, 0), (1, 1), (3, 3)])
def test_a_session_uses_as_many_threads_as_asked_for_and_they_sleep(exported, threads, expected):
    session = open_session(exported[1].read_bytes(), threads)
    options = session.get_session_options()
    assert options.intra_op_num_threads == expected and session.get_providers() == ["CPUExecutionProvider"]
    assert options.get_session_config_entry("session.force_spinning_stop") == "1"
