"""One file per entry point: read parameters, compute (steps/compute), report to MLflow."""

import os

# Waiting OpenMP threads sleep instead of spinning: up to five times as fast where the machine does anything else meanwhile
# (loading pictures is enough). Read once, when torch is first imported; so set here, before a step imports anything.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
