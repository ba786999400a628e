"""Default thresholds of the detector in one place: entry points derive their parameters from them without loading a runtime."""

CONFIDENCE = 0.4  # minimum confidence of a head that is cropped and recognized
NMS_IOU = 0.6  # of two boxes that overlap more, the less confident one is dropped
