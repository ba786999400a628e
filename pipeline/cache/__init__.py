"""The cache of finished steps: keys, digests, records on MLflow runs, and the folder of unfinished work."""
