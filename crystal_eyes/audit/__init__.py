"""Finds what is wrong in a labeled dataset before anything is trained on it.

looking.py     every picture once: can it be read, how many heads, its hashes, its embedding; resumable
labels.py      probable wrong labels, and characters that should be one, from embeddings
findings.py    what is reported of a dataset, and the table without it
report.py      the audit's folder: table, page, cleaned table
page.py        the page, a single HTML file that works offline
"""
