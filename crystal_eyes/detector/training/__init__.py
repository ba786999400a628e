"""Training of the head detector. The only place that imports ultralytics (AGPL-3.0)."""
