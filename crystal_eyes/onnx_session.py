"""Runs ONNX files, on the CPU unless a GPU is asked for; the only module that imports onnxruntime."""

import os

# otherwise onnxruntime sends telemetry about each session; it reads this when it is first imported
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime

CUDA = "CUDAExecutionProvider"


def open_session(data: bytes, threads: int | None = None, gpu: bool = False) -> onnxruntime.InferenceSession:
    """A session. From memory, so that a file can't make onnxruntime read other files.

    threads: None: one per core. They spin only within a call: spinning between calls slows down other sessions. gpu: on a GPU,
    if this onnxruntime can use one (see on_gpu). Raises onnxruntime's exceptions on data that is not an ONNX model.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3
    options.add_session_config_entry("session.force_spinning_stop", "1")
    providers: list = ["CPUExecutionProvider"]
    if gpu and CUDA in onnxruntime.get_available_providers():
        providers.insert(0, (CUDA, {"use_tf32": "0"}))  # with it, products have 10 bits
    return onnxruntime.InferenceSession(data, options, providers=providers)


def on_gpu(session: onnxruntime.InferenceSession) -> bool:
    """Whether a session uses a GPU."""
    return CUDA in session.get_providers()
