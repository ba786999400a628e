"""Makes a bundle: build.py is the sequence of steps, each other file is one of them."""
