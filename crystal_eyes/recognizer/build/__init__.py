"""Building a bundle: what it knows, its calibration, and its model card."""
