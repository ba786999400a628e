"""Builds a bundle: build.py is the sequence of steps, each of the other files is one of them."""
