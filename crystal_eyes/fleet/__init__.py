"""Heads cut, checked and embedded by many machines: the work of a step in tasks, each of which writes one shard.

Only this package imports Ray, and nothing imports this package unless Ray is asked for.
"""
