"""Datasets as users keep them, read, checked, selected and split into a catalogue of head pictures."""
