"""The least that a driver with a cache can cost: import mlflow, ask the store one question."""

import mlflow

mlflow.MlflowClient().search_runs(["0"], "attributes.status = 'FINISHED'", max_results=1)
