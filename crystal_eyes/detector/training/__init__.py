"""Training of the head detector. The only package that imports ultralytics (AGPL-3.0), in trainer.py alone."""
