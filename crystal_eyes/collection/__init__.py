"""Collections: every picture of somebody, found by what she looks like.

from crystal_eyes.collection import Collection
with Collection.open("collection", create=True) as collection:
    collection.add(["folder", "comic.cbz"])
    for head in collection.search("picture.png", 20):
        print(head.box, [(match.place, match.likeness) for match in head.matches])

places.py    where a picture comes from: a file, a member of an archive, a moment of a video
vectors.py   the embeddings, and the search in them
storage.py   the database beside them, transactions
collection.py  the class Collection
"""

from crystal_eyes.collection.collection import Collection, HeadBatch
from crystal_eyes.collection.places import Place

__all__ = ["Collection", "HeadBatch", "Place"]
