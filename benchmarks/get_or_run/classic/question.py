"""The minimum that a driver with a cache has to do: import mlflow and send the store one query."""

import mlflow

mlflow.MlflowClient().search_runs(["0"], "attributes.status = 'FINISHED'", max_results=1)
