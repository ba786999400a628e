"""Measures of retrieval, naming, detection, calibration and open-set recognition."""
