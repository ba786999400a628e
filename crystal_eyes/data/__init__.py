"""Reads, checks, selects and splits datasets in users' layouts into a catalogue of head pictures."""
