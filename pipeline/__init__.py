"""Orchestration: the driver, `_get_or_run`, the cache key, plan and report. Knows steps by name, never imports a model."""
