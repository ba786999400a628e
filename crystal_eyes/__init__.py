"""Crystal Eyes: finds the heads of drawn characters in a picture and names them.

The way of the data: picture -> heads -> embeddings -> characters.
"""

import os

# Waiting OpenMP threads sleep instead of spinning. On a machine that does anything else at the time (our own picture
# loading is enough) training is up to five times as fast. Read once, when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# onnxruntime tells its makers about each session otherwise. Read once, when it is first imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
