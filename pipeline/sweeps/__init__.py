"""Sweeps: W&B's sweep files, run here through Optuna."""
