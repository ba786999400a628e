"""The arguments of the command line."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from crystal_eyes.collection.shared.remote import is_shared
from crystal_eyes.detector.defaults import DETAILS, NORMAL
from crystal_eyes.paths import plain_path
from crystal_eyes.recognizer.default import CHAMPION, VARIABLE
from crystal_eyes.recognizer.places import RELEASED

Run = Callable[[argparse.Namespace], int]
COLLECTION = "folder of the collection, or its address on shared storage (s3://bucket/folder)"
PNG = ".png"
HEAD = "every picture is one head: use it as it is, without a search"


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1")
    return int(text)


def _filled(text: str) -> str:
    """What an unset variable of the shell leaves is not taken for the default."""
    if not text.strip():
        raise argparse.ArgumentTypeError("the value is empty: give one, or leave the option out")
    return text


def _path(text: str) -> Path:
    return plain_path(_filled(text))


def _new_file(text: str) -> Path:
    path = _path(text)
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{path.parent} is not an existing folder: make it, or choose another one")
    return path


def _png(text: str) -> Path:
    path = _new_file(text)
    if path.suffix.lower() != PNG:
        raise argparse.ArgumentTypeError(f"{text} is not the name of a PNG file: give one that ends in {PNG}")
    return path


def _collection(text: str) -> str | Path:
    return text if is_shared(text) else _path(text)


def parser(runs: Sequence[Run]) -> argparse.ArgumentParser:
    """The commands and their arguments. runs: the functions that run them, which give them their names and descriptions."""
    parser = argparse.ArgumentParser(prog="crystal-eyes", description="Finds the heads of drawn characters and names them.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(run: Run) -> argparse.ArgumentParser:
        one = commands.add_parser(run.__name__, help=run.__doc__, description=run.__doc__)
        one.add_argument(
            "--bundle",
            type=_filled,
            help=f"folder or URI of a bundle, or {RELEASED} (default: ${VARIABLE}, else {CHAMPION}, else {RELEASED})",
        )
        one.set_defaults(run=run)
        return one

    by_name = {run.__name__: run for run in runs}
    for name in ("recognize", "check"):
        one = command(by_name[name])
        one.add_argument("pictures", nargs="+", help="pictures, folders or patterns")
        how = one.add_mutually_exclusive_group()
        high = "high: find small heads too; takes longer (default: normal)"
        how.add_argument("--detail", choices=DETAILS, default=NORMAL, help=high)
        how.add_argument("--head", action="store_true", help=HEAD)
        one.add_argument("--json", action="store_true", help="print one line of JSON per picture")
    one = command(by_name["characters"])
    one.add_argument("words", nargs="*", help="parts of names, original names or series; all have to occur")
    one.add_argument("--series", help="whole name of a series")
    one.add_argument("--json", action="store_true", help="print one line of JSON per character")
    one = command(by_name["enroll"])
    one.add_argument("--character", help="name of the character")
    one.add_argument("--series", help="series that the character comes from; needed if several characters have the name")
    one.add_argument("--remove", action="store_true", help="remove the enrolled character")
    one.add_argument("--rename", metavar="NEW", help="give the enrolled character another name")
    many = "add the characters of a file that --to wrote, of a dataset (a folder per character, a table), or of another bundle"
    one.add_argument("--from", dest="file", metavar="FILE", type=_path, help=many)
    one.add_argument("--to", metavar="FILE", type=_new_file, help="write the enrolled characters to a new file")
    copy = "new folder for a changed copy of the bundle (default: change the bundle, or your part of the released one)"
    one.add_argument("--output", type=_path, help=copy)
    one.add_argument("--head", action="store_true", help=HEAD)
    one.add_argument("heads", nargs="*", help="pictures with one head each, or folders or patterns of such pictures")
    one = command(by_name["audit"])
    one.add_argument("dataset", type=_path, help="a folder per character, a table, or the Danbooru 2018 dataset")
    one.add_argument("--output", type=_path, default="audit", help="folder for the results (default: %(default)s)")
    one = command(by_name["index"])
    one.add_argument(
        "sources", nargs="+", help="folders, pictures, ZIP or CBZ archives, videos, or patterns; s3://BUCKET/PREFIX"
    )
    one.add_argument("--into", required=True, type=_collection, help=f"{COLLECTION}; made if there is none")
    engine = "local: this machine looks at the pictures; ray: the machines of a Ray cluster do (default: %(default)s)"
    one.add_argument("--engine", choices=("local", "ray"), default="local", help=engine)
    where = "with --engine ray: HOST:PORT of the cluster, of which this machine is a part (default: one on this machine)"
    one.add_argument("--address", type=_filled, metavar="HOST:PORT", help=where)
    one.add_argument("--forget", action="store_true", help="forget what the collection has of these folders or files instead")
    one = command(by_name["search"])
    one.add_argument("pictures", nargs="*", help="pictures to search by, folders or patterns")
    one.add_argument("--in", dest="collection", required=True, type=_collection, help=COLLECTION)
    one.add_argument("--name", type=_filled, help="search for a character of the bundle instead")
    one.add_argument("--series", help="series of the character; needed if several characters have the name")
    one.add_argument("--top", type=_count, default=20, help="pictures to list for each head (default: %(default)s)")
    one.add_argument("--json", action="store_true", help="print one line of JSON per picture")
    one.add_argument("--sheet", type=_png, help="write the found pictures to this PNG file")
    one = command(by_name["group"])
    one.add_argument("collection", type=_collection, help=COLLECTION)
    one.add_argument("--to", type=_path, metavar="FOLDER", help="put the pictures into this folder, a folder a group")
    one.add_argument("--link", action="store_true", help="with --to: link the pictures instead of copying them")
    change = one.add_mutually_exclusive_group()
    change.add_argument("--name", nargs=2, metavar=("GROUP", "NAME"), help="name a group, and enroll it into the bundle")
    change.add_argument("--merge", nargs="+", type=_count, metavar="GROUP", help="these groups are one character")
    change.add_argument("--split", nargs="+", type=_count, metavar="HEAD", help="these heads of a group are another character")
    one.add_argument("--series", help="with --name: series that the character comes from")
    one.add_argument("--json", action="store_true", help="print one line of JSON per group")
    one = command(by_name["serve"])
    where = "address to listen on (default: %(default)s, this machine only)"
    one.add_argument("--host", type=_filled, default="127.0.0.1", help=where)
    one.add_argument("--collection", type=_path, help="folder of a collection to search in, on a second page")
    one.add_argument("--port", type=int, default=7860, help="port to listen on (default: %(default)s)")
    many = "processes that answer, each with its share of the cores (default: %(default)s)"
    one.add_argument("--workers", type=_count, default=1, metavar="N", help=many)
    one = command(by_name["web"])
    one.add_argument("--output", required=True, type=_path, help="new folder, or one with a site that is to be replaced")
    return parser
