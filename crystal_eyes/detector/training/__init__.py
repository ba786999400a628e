"""Training of the head detector. The only package that imports ultralytics (AGPL-3.0), and only in trainer.py."""
