"""One file an entry point: read parameters, call the library, log to MLflow."""
