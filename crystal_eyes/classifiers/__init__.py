"""Classifiers that name an embedding, one class per file, behind one interface (base.py); registry.py lists them by name."""
