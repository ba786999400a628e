"""A collection on shared storage (s3://bucket/prefix): many machines read it, one at a time changes it.

bucket.py  the objects below an address, and what goes wrong with them
lease.py   one writer at a time
pieces.py  files as pieces that are named by their content
remote.py  the newest version as a folder on this machine, and a changed folder as the next version
"""
