"""What each step computes. The cache key of a step covers these files and what they import."""
