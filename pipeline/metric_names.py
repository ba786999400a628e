"""Names of MLflow metrics that hold a user's words."""

import re

LONGEST = 250  # characters, MLflow's


def metric_name(text: str) -> str:
    """The text with what MLflow refuses in a metric's name made `_`: `top_1/Love Live!` becomes `top_1/Love Live_`."""
    parts = [re.sub(r"[^\w.\- :]", "_", part) for part in text[:LONGEST].split("/")]
    return "/".join("_" if part.strip(".") == "" else part for part in parts)
