"""Finds heads: the ONNX detector (runtime; needs only numpy and onnxruntime) and its training (training; ultralytics)."""
