"""Where the heads are: labels and composed scenes, training (YOLOv5), and the ONNX detector that runs without it."""
