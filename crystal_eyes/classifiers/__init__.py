"""Classifiers that name an embedding, one class a file behind one interface (base.py); registry.py lists them by name."""
