"""What the encoder's users have in common."""

BATCH = 16  # heads per call: larger batches are not faster on a CPU, and 64 of 256 px take 1.6 GB instead of 0.5
