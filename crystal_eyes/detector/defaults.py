"""Default thresholds of the detector, once: entry points derive their parameters from them without loading a runtime."""

CONFIDENCE = 0.4  # least confidence of a head that is cut out and named
NMS_IOU = 0.6  # of two boxes that overlap more, the less confident one is dropped
