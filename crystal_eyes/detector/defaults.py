"""Default thresholds of the detector in one place: entry points derive their parameters from them without loading a runtime."""

CONFIDENCE = 0.5  # minimum probability of a head that is cropped and recognized, where the detector is calibrated
UNCALIBRATED_CONFIDENCE = 0.4  # the same where it is not: the network's own number
NMS_IOU = 0.6  # of two boxes that overlap more, the less confident one is dropped

# how closely a picture is searched
NORMAL, HIGH = DETAILS = ("normal", "high")
