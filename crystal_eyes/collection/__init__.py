"""Collections: every picture of somebody, found by what she looks like.

from crystal_eyes.collection import Collection
with Collection.open("collection", create=True) as collection:
    collection.add(["folder", "comic.cbz"])
    for head in collection.search("picture.png", 20):
        print([(match.place, match.box, match.likeness) for match in head.matches])

places.py      where a picture comes from: a file, a member of an archive, a moment of a video
sources.py     the files in folders; archives.py and videos.py: the pictures in them; opening.py reads one again
looking.py     what is in a file: the same on this machine and on those of a cluster, which cluster.py gives them to
indexing.py    a run: what is new, changed or gone; results.py and changes.py bring it to the disk
storage.py     the database and its transactions; vectors.py: the embeddings beside it, and the search in them
searching.py   matches: pictures, how alike, and whether it is the same character; sheet.py and text.py show them
collection.py  the class Collection
grouping.py    groups of embeddings, without labels
shared/        a collection on shared storage, s3://bucket/folder
groups.py      the groups of a collection; decisions.py keeps what the user says, folders.py puts pictures into folders
"""

from crystal_eyes.collection.collection import Collection, HeadBatch, SearchedHead
from crystal_eyes.collection.places import Place
from crystal_eyes.collection.results import Report
from crystal_eyes.collection.searching import Match

__all__ = ["Collection", "HeadBatch", "Match", "Place", "Report", "SearchedHead"]
