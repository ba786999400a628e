"""Names of MLflow metrics that contain names from a user's dataset, and of those that several modules know."""

import re

MAX_LENGTH = 250  # characters, MLflow's limit
FOUND = "found/"  # begins the metrics of an audit's findings, one for each kind


def metric_name(text: str) -> str:
    """The text with each character that MLflow refuses replaced by `_`: `top_1/Love Live!` becomes `top_1/Love Live_`."""
    parts = [re.sub(r"[^\w.\- :]", "_", part) for part in text[:MAX_LENGTH].split("/")]
    return "/".join("_" if part.strip(".") == "" else part for part in parts)
