"""The command line: crystal-eyes recognize | check | characters | enroll | serve | web."""

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from crystal_eyes.artifacts import is_uri
from crystal_eyes.console import as_json, never_fail_on_letters, one_text_line, say, say_line
from crystal_eyes.errors import UserError, one_line
from crystal_eyes.paths import plain_path
from crystal_eyes.picture_files import PictureFiles, find_pictures
from crystal_eyes.progress import track
from crystal_eyes.recognizer import Head, Recognizer
from crystal_eyes.recognizer.answers import who
from crystal_eyes.recognizer.bundle import Bundle, copy_bundle, read_bundle
from crystal_eyes.recognizer.characters import Known, characters_of, search
from crystal_eyes.recognizer.default import CHAMPION, VARIABLE, Chosen, NoBundleError, choose_bundle
from crystal_eyes.recognizer.places import RELEASED
from crystal_eyes.recognizer.recognizer import bundle_folder
from crystal_eyes.recognizer.released import enrollment_folder
from crystal_eyes.stores import limit_patience
from crystal_eyes.web import site


def main(given: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0; 1 after an error or if a picture could not be read; 2 for wrong arguments;
    130 if it was interrupted. Errors that the user can fix are one line on stderr.
    """
    never_fail_on_letters()
    limit_patience()
    try:
        options = arguments().parse_args(given)
        code = options.run(options)
        if sys.stdout:  # None: it was closed before the start
            sys.stdout.flush()  # here, where an error can still be reported
        return code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # stdout was closed
        _drop_output()
        return 0
    except Exception as error:
        line = one_line(error)
        if line is None:
            raise
        if isinstance(error, OSError) and error.filename is None:
            _drop_output()  # stdout may be what is full: Python would try, and complain, again at its end
        print(f"crystal-eyes: {one_text_line(line)}", file=sys.stderr)
        return 1


def _drop_output() -> None:
    """Write what is still buffered for stdout nowhere."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def recognize(options: argparse.Namespace) -> int:
    """Name the heads in pictures; prints one block of text or one line of JSON per picture."""
    return _answer(options, _candidates)


def check(options: argparse.Namespace) -> int:
    """Show how similar each head is to the characters in the catalogue."""
    return _answer(options, _comparison)


def _answer(options: argparse.Namespace, lines: Callable[[int, Head], list[str]]) -> int:
    files = find_pictures(options.pictures)
    _report_skipped(files)
    chosen = bundle(options)
    paths, recognizer, failed = files.paths, Recognizer.load(chosen.source), 0
    _say_which(chosen, recognizer.bundle)
    answers = zip(paths, recognizer.recognize_many(paths))
    for path, heads in track(answers, len(paths), "recognize", "pictures") if len(paths) > 1 else answers:
        name = str(path)
        if isinstance(heads, Exception):
            failed += 1
            error = (heads.strerror if isinstance(heads, OSError) else None) or str(heads)
            say(as_json({"picture": name, "error": error}) if options.json else one_text_line(f"{name}: {error}"))
        elif options.json:
            say(as_json({"picture": name, "heads": [head.as_dict() for head in heads]}))
        else:
            found = [line for number, head in enumerate(heads, 1) for line in lines(number, head)]
            say("\n".join(one_text_line(line) for line in [f"{name}: {_count(len(heads))}", *found]))
    if failed:
        print(f"crystal-eyes: {failed} of {len(paths)} pictures could not be read, see above", file=sys.stderr)
    return 1 if failed or files.unreadable else 0


def enroll(options: argparse.Namespace) -> int:
    """Add a character to a bundle from a few pictures of its head, add more heads to it, rename it, or remove it again; or take
    all characters from a file that the page of `crystal-eyes web` has saved (--from), or write such a file (--to)."""
    from crystal_eyes.recognizer import enroll_command

    enroll_command.require_one_task(options)
    chosen = bundle(options)
    given, source = chosen.source, bundle_folder(chosen.source)
    if options.to:
        enroll_command.write_file(read_bundle(source), options.to)
        return 0
    code = 0
    if options.output:
        if options.output.exists():
            raise UserError(f"{options.output} already exists: choose a new folder")
        part = options.output.with_name(f"{options.output.name}.part")
        try:
            copy_bundle(source, part)
            code = _change(options, part)
            part.rename(options.output)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    elif given == RELEASED:
        with enrollment_folder() as folder:
            code = _change(options, folder)
    elif is_uri(given) or source not in (plain_path(given), plain_path(given).parent):  # inside a registered model
        raise UserError(f"{given} is stored by MLflow and can't be changed: use --output FOLDER to write a changed copy")
    else:
        code = _change(options, source)
    _say_which(chosen, read_bundle(bundle_folder(given) if given == RELEASED else source))
    return code


def _change(options: argparse.Namespace, folder: Path) -> int:
    """Do what enroll was called for in the bundle in folder, and return the exit code."""
    from crystal_eyes.recognizer import enroll_command

    heads = pictures(options.heads) if options.heads else []
    return enroll_command.change(options, folder, options.output or folder, heads)


def serve(options: argparse.Namespace) -> int:
    """Serve the web page."""
    try:
        from crystal_eyes.web import server
        from crystal_eyes.web.settings import Settings
    except ImportError as error:
        raise UserError(
            f"the web page needs starlette, uvicorn and jinja2 ({error}): pip install 'crystal-eyes[page]'"
        ) from None
    chosen = bundle(options)
    server.serve(chosen.source, Settings(host=options.host, port=options.port), lambda loaded: _say_which(chosen, loaded))
    return 0


def web(options: argparse.Namespace) -> int:
    """Write a static site that recognizes characters in the visitor's browser."""
    page = site.page_folder()
    if page is None:
        raise UserError("this installation has no built web page: run `make web`, which needs Node.js, or install a wheel")
    chosen = bundle(options)
    read = read_bundle(bundle_folder(chosen.source))
    _say_which(chosen, read)
    for line in site.describe(options.output, read, site.write_site(read, options.output, page)):
        say_line(line)
    return 0


def characters(options: argparse.Namespace) -> int:
    """List the characters that a bundle knows: all of them, those of a series, or those whose names contain words."""
    chosen = bundle(options)
    read = read_bundle(bundle_folder(chosen.source))
    known = characters_of(read)
    found = search(known, options.words, options.series)
    _say_which(chosen, read)
    if not options.json:
        say(f"{len(found):,} of {len(known):,} characters" if len(found) < len(known) else f"{len(known):,} characters")
    for one in found:
        if options.json:
            say(as_json({"character": one.character, "original_name": one.original_name, "series": one.series,
                         "heads": one.heads, "enrolled": one.folder is not None}))  # fmt: skip
        else:
            say_line(_listed(one))
    return 0


def _listed(one: Known) -> str:
    more = [one.original_name, "" if one.heads is None else "1 head" if one.heads == 1 else f"{one.heads} heads",
            "enrolled" if one.folder else ""]  # fmt: skip
    return ", ".join([str(one), *filter(None, more)])


def bundle(options: argparse.Namespace) -> Chosen:
    """The bundle to use: --bundle, else as choose_bundle says."""
    try:
        return choose_bundle(options.bundle or "")
    except NoBundleError:
        why = "this installation has no released recognizer"
        raise UserError(f"no bundle: use --bundle FOLDER or set {VARIABLE}; `make main` builds one ({why})") from None


def _say_which(chosen: Chosen, loaded: Bundle) -> None:
    print(f"crystal-eyes: {one_text_line(chosen.describe(loaded))}", file=sys.stderr)


def pictures(given: Sequence[str]) -> list[Path]:
    """The files that paths, folders (with their subfolders) and patterns name, each once. Raises UserError: there are none."""
    files = find_pictures(given)
    _report_skipped(files)
    return files.paths


def _report_skipped(files: PictureFiles) -> None:
    for line in files.remarks():
        print(f"crystal-eyes: {one_text_line(line)}", file=sys.stderr)


def _count(heads: int) -> str:
    return "no head found" if not heads else "1 head" if heads == 1 else f"{heads} heads"


def _place(number: int, head: Head) -> str:
    if head.whole_picture:
        return f"  {number}  the whole picture is a head"
    return f"  {number}  at {', '.join(f'{value:.0f}' for value in head.box)}"


def _candidates(number: int, head: Head) -> list[str]:
    lines = [_place(number, head)]
    if head.verdict == "unknown":  # percentages would read like an answer
        lines += [f"     nearest  {who(one)}" for one in head.nearest]
    else:
        lines += [f"     {one.probability:5.1%}  {who(one)}" for one in head.candidates]
        if head.series:
            lines.append(f"     most likely series: {head.series.name} ({head.series.probability:.1%})")
    return [*lines, f"     {head.sentence()}"]


def _comparison(number: int, head: Head) -> list[str]:
    lines = [_place(number, head), f"     {head.sentence()}"]
    for one in head.nearest:
        lines.append(f"     similarity {one.similarity:.2f}  {who(one)}")
    lines.append(
        f"     p-value if the character is in this catalogue {head.p_value:.3f}, if it is not {head.stranger_share:.3f}"
    )
    return lines


def arguments() -> argparse.ArgumentParser:
    """The commands and their arguments."""
    parser = argparse.ArgumentParser(prog="crystal-eyes", description="Finds the heads of drawn characters and names them.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        one = commands.add_parser(run.__name__, help=run.__doc__, description=run.__doc__)
        one.add_argument(
            "--bundle",
            help=f"folder or URI of a bundle, or {RELEASED} (default: ${VARIABLE}, else {CHAMPION}, else {RELEASED})",
        )
        one.set_defaults(run=run)
        return one

    for run in (recognize, check):
        one = command(run)
        one.add_argument("pictures", nargs="+", help="pictures, folders or patterns")
        one.add_argument("--json", action="store_true", help="print one line of JSON per picture")
    one = command(characters)
    one.add_argument("words", nargs="*", help="parts of names, original names or series; all have to occur")
    one.add_argument("--series", help="whole name of a series")
    one.add_argument("--json", action="store_true", help="print one line of JSON per character")
    one = command(enroll)
    one.add_argument("--character", help="name of the character")
    one.add_argument("--series", help="series that the character comes from; needed if several characters have the name")
    one.add_argument("--remove", action="store_true", help="remove the enrolled character")
    one.add_argument("--rename", metavar="NEW", help="give the enrolled character another name")
    one.add_argument("--from", dest="file", metavar="FILE", type=plain_path, help="add the characters in a file")
    one.add_argument("--to", metavar="FILE", type=plain_path, help="write the enrolled characters to a new file")
    one.add_argument(
        "--output",
        type=plain_path,
        help="new folder for a changed copy of the bundle (default: change the bundle itself, or of the released one a part in "
        "your own folder)",
    )
    one.add_argument("heads", nargs="*", help="pictures with one head each, or folders or patterns of such pictures")
    one = command(serve)
    one.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s, this machine only)")
    one.add_argument("--port", type=int, default=7860, help="port to listen on (default: %(default)s)")
    one = command(web)
    one.add_argument("--output", required=True, type=plain_path, help="new folder, or one with a site that is to be replaced")
    return parser


if __name__ == "__main__":
    sys.exit(main())
