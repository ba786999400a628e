"""Runs ONNX files on the CPU; the only module that imports onnxruntime."""

import os

# otherwise onnxruntime sends telemetry about each session; it reads this when it is first imported
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime


def open_session(data: bytes, threads: int | None = None) -> onnxruntime.InferenceSession:
    """A session on the CPU. From memory, so that a file can't make onnxruntime read other files.

    threads: None: one per core. They spin only within a call: spinning between calls slows down other sessions.
    Raises onnxruntime's exceptions on data that is not an ONNX model.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
