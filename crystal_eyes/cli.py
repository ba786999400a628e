"""The command line: crystal-eyes recognize | check | characters | enroll | audit | index | search | group | serve | web."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from crystal_eyes.arguments import parser
from crystal_eyes.collection import Collection
from crystal_eyes.collection.shared.remote import is_shared
from crystal_eyes.collection.sheet import write_sheet
from crystal_eyes.collection.sources import Sources
from crystal_eyes.collection.text import Answers, report_line
from crystal_eyes.console import as_json, never_fail_on_letters, one_text_line, say, say_error, say_line
from crystal_eyes.errors import UserError, one_line, said
from crystal_eyes.picture_files import PictureFiles, find_pictures
from crystal_eyes.progress import track
from crystal_eyes.recognizer import Head, Recognizer
from crystal_eyes.recognizer.bundle import DETECTOR, ENCODER, Bundle, read_bundle
from crystal_eyes.recognizer.changeable import StoredError, changeable, changed_copy
from crystal_eyes.recognizer.characters import characters_of
from crystal_eyes.recognizer.characters import search as search_characters
from crystal_eyes.recognizer.default import VARIABLE, Chosen, NoBundleError, choose_bundle
from crystal_eyes.recognizer.places import RELEASED
from crystal_eyes.recognizer.recognizer import bundle_folder
from crystal_eyes.recognizer.stored import open_stored
from crystal_eyes.recognizer.text import candidate_lines, comparison_lines, count_of, known_line
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
        say_error(line)
        return 1


def _drop_output() -> None:
    """Write what is still buffered for stdout nowhere."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def recognize(options: argparse.Namespace) -> int:
    """Name the heads in pictures; prints one block of text or one line of JSON per picture."""
    return _answer(options, candidate_lines)


def check(options: argparse.Namespace) -> int:
    """Show how similar each head is to the characters in the catalogue."""
    return _answer(options, comparison_lines)


def _answer(options: argparse.Namespace, lines: Callable[[int, Head], list[str]]) -> int:
    files = find_pictures(options.pictures)
    _report_skipped(files)
    paths, recognizer, failed = files.paths, _recognizer(options), 0
    answers = zip(paths, recognizer.recognize_many(paths, detail=options.detail, head=options.head))
    for path, heads in track(answers, len(paths), "recognize", "pictures") if len(paths) > 1 else answers:
        name = str(path)
        if isinstance(heads, Exception):
            failed += 1
            error = said(heads)
            say(as_json({"picture": name, "error": error}) if options.json else one_text_line(f"{name}: {error}"))
        elif options.json:
            say(as_json({"picture": name, "heads": [head.as_dict() for head in heads]}))
        else:
            found = [line for number, head in enumerate(heads, 1) for line in lines(number, head)]
            say("\n".join(one_text_line(line) for line in [f"{name}: {count_of(len(heads))}", *found]))
    if failed:
        say_error(f"{failed} of {len(paths)} pictures could not be read, see above")
    return 1 if failed or files.unreadable else 0


def enroll(options: argparse.Namespace) -> int:
    """Add a character to a bundle from a few pictures of its head, add more heads to it, rename it, or remove it again; or take
    all characters from a file that the page of `crystal-eyes web` has saved (--from), or write such a file (--to)."""
    from crystal_eyes.recognizer import enroll_command

    enroll_command.require_one_task(options)
    if options.to:
        enroll_command.write_file(read_bundle(bundle_folder(bundle(options).source)), options.to)
        return 0

    def change(folder: Path, shown: Path) -> int:
        return enroll_command.change(options, folder, shown, pictures(options.heads) if options.heads else [])

    return _in_bundle(options, options.output, change)


def _in_bundle(options: argparse.Namespace, output: Path | None, change: Callable[[Path, Path], int]) -> int:
    """Change a bundle in place, or a copy of it, and return the exit code. change: of the folder, and what it is called."""
    chosen = bundle(options)
    given, source = chosen.source, bundle_folder(chosen.source)
    code = 0
    if output:
        with changed_copy(source, output) as folder:
            code = change(folder, output)
    else:
        try:
            with changeable(given) as folder:
                code = change(folder, folder)
        except StoredError as error:
            raise UserError(f"{error}: use --output FOLDER to write a changed copy") from None
    _say_which(chosen, read_bundle(bundle_folder(given) if given == RELEASED else source))
    return code


def serve(options: argparse.Namespace) -> int:
    """Serve the web page."""
    try:
        from crystal_eyes.web import server
        from crystal_eyes.web.settings import Settings
    except ImportError as error:
        raise _missing("the web page", "page", error) from None
    if options.collection and is_shared(options.collection):
        raise UserError("the page shows collections in folders: give serve --collection FOLDER")
    chosen = bundle(options)
    settings = Settings(options.host, options.port, collection=options.collection)
    server.serve(chosen.source, settings, lambda loaded: _say_which(chosen, loaded), options.workers)
    return 0


def audit(options: argparse.Namespace) -> int:
    """Find what is wrong in a labeled dataset: a table, a page to look at, and a cleaned table to train on."""
    try:
        from crystal_eyes.audit.report import write_audit
    except ImportError as error:
        raise _missing("an audit", "audit", error) from None
    chosen = bundle(options)
    loaded = read_bundle(bundle_folder(chosen.source))
    _say_which(chosen, loaded)
    report = write_audit(options.dataset, loaded.trained / DETECTOR, loaded.trained / ENCODER, options.output)
    for line in report.lines():
        say_line(line)
    say_line(f"to look at: {report.page}; all findings: {report.findings}; to train on: {report.cleaned}")
    return 0


def web(options: argparse.Namespace) -> int:
    """Write a static site that recognizes characters in the visitor's browser."""
    page = site.page_folder()
    site.require_replaceable(options.output)
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
    stored = open_stored(read)
    known = [*characters_of(read), *(stored.known() if stored else ())]
    found = search_characters(known, options.words, options.series)
    _say_which(chosen, read)
    if not options.json:
        say(f"{len(found):,} of {len(known):,} characters" if len(found) < len(known) else f"{len(known):,} characters")
    for one in found:
        if options.json:
            say(as_json({"character": one.character, "original_name": one.original_name, "series": one.series,
                         "heads": one.heads, "enrolled": one.folder is not None}))  # fmt: skip
        else:
            say_line(known_line(one))
    return 0


def index(options: argparse.Namespace) -> int:
    """Look at all pictures that are new or have changed, also in archives and videos, and keep their heads in a collection."""
    is_on_cluster = options.engine == "ray"
    if options.address and not is_on_cluster:
        raise UserError(f"--address {options.address} is that of a Ray cluster: give it with --engine ray")
    if options.forget and is_on_cluster:
        raise UserError("--forget looks at no pictures: leave out --engine")
    if options.forget:
        with Collection.open(options.into) as collection:
            say_line(f"{collection.forget(options.sources):,} pictures forgotten, {len(collection):,} heads left")
        return 0
    if Collection.is_new(options.into):
        Sources(options.sources).require()  # before an empty collection is made
    with Collection.open(options.into, _recognizer(options), create=True) as collection:
        report = collection.add(options.sources, say_error, True, (options.address or "") if is_on_cluster else None)
        say_line(report_line(report, len(collection)))
    return 1 if report.unreadable or report.kept else 0


def search(options: argparse.Namespace) -> int:
    """Find the pictures of a collection in which the same character appears, by a picture or by a name."""
    if bool(options.pictures) == bool(options.name):
        raise UserError("give pictures to search by, or --name")
    if options.series and not options.name:
        raise UserError("--series belongs to a name: give it with --name NAME")
    with Collection.open(options.collection, _recognizer(options)) as collection:
        answers = Answers(collection, options.top, options.json)
        if options.name:
            answers.say_name(options.name, options.series)
        given = pictures(options.pictures) if options.pictures else []
        failed = [path for path in given if not answers.say_picture(path)]
    for line in write_sheet(options.sheet, answers.rows) if options.sheet else []:
        say_error(line)
    return 1 if failed else 0


def group(options: argparse.Namespace) -> int:
    """Group the heads of a collection by character, without labels; name groups, merge and split them, copy their pictures."""
    from crystal_eyes.collection import group_command as command
    from crystal_eyes.collection.enrolling import enroll_group

    if options.link and not options.to:
        raise UserError("--link says how pictures are put into a folder: give it with --to FOLDER")
    if options.series and not options.name:
        raise UserError("--series belongs to a name: give it with --name GROUP NAME")
    is_change = bool(options.name or options.merge or options.split)
    with Collection.open(options.collection, _recognizer(options)) as collection:
        groups = collection.groups(again=not is_change)
        if not is_change:
            return command.report(groups, options.json, options.to, options.link)
        if options.to or options.json:
            raise UserError("--to and --json list the groups: give them without --name, --merge and --split")
        found = command.change(groups, options.name, options.series, options.merge, options.split)
        if options.name:
            for line in enroll_group(found, collection.recognizer.naming.known, bundle(options).source):
                say_line(line)
    return 0


def _recognizer(options: argparse.Namespace) -> Recognizer:
    chosen = bundle(options)
    recognizer = Recognizer.load(chosen.source)
    _say_which(chosen, recognizer.bundle)
    return recognizer


def bundle(options: argparse.Namespace) -> Chosen:
    """The bundle to use: --bundle, else as choose_bundle says."""
    try:
        return choose_bundle(options.bundle)
    except NoBundleError:
        why = "this installation has no released recognizer"
        raise UserError(f"no bundle: use --bundle FOLDER or set {VARIABLE}; `make main` builds one ({why})") from None


def _missing(what: str, extra: str, error: ImportError) -> UserError:
    return UserError(f"{what} needs more than recognition ({error}): pip install 'crystal-eyes[{extra}]'")


def _say_which(chosen: Chosen, loaded: Bundle) -> None:
    say_error(chosen.describe(loaded))


def pictures(given: Sequence[str]) -> list[Path]:
    """The files that paths, folders (with their subfolders) and patterns name, each once. Raises UserError: there are none."""
    files = find_pictures(given)
    _report_skipped(files)
    return files.paths


def _report_skipped(files: PictureFiles) -> None:
    for line in files.remarks():
        say_error(line)


def arguments() -> argparse.ArgumentParser:
    """The commands and their arguments."""
    return parser([recognize, check, characters, enroll, audit, index, search, group, serve, web])


if __name__ == "__main__":
    sys.exit(main())
