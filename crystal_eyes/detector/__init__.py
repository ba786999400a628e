"""Finding heads: the ONNX detector (runtime, numpy and onnxruntime alone) and its training (training, ultralytics)."""
