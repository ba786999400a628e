"""Orchestration: the driver, `_get_or_run`, the cache key, plan and report. Refers to steps by name; never imports a model."""
