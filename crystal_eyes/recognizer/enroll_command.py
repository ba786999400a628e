"""What `crystal-eyes enroll` does in the bundle that it changes, and what it says."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from crystal_eyes.console import say_error, say_line
from crystal_eyes.errors import UserError
from crystal_eyes.recognizer import enrollment, enrollment_file
from crystal_eyes.recognizer.adopting import adopt, can_be_adopted
from crystal_eyes.recognizer.bundle import Bundle
from crystal_eyes.recognizer.text import count_of, enrolled_lines

TABLES = (".csv", ".tsv", ".parquet")  # suffixes of tables that --from takes


def require_one_task(options: Any) -> None:
    """Raise UserError if the options ask for nothing, or for several things at once."""
    files = [name for name, path in (("--from", options.file), ("--to", options.to)) if path]
    single = options.character or options.series or options.remove or options.rename is not None or options.heads
    if files and (single or len(files) > 1 or (options.to and options.output)):
        also = "" if options.to else " and --output"
        raise UserError(f"{files[0]} is about all characters of a file, and goes with --bundle{also} only")
    if options.file and not options.file.exists():
        raise UserError(f"{options.file} does not exist: give a file that --to wrote, a dataset, or a bundle")
    if not files and not options.character:
        raise UserError("say whom with --character NAME, or give a file with --from FILE or --to FILE")
    if options.head and not (options.heads or options.file):
        raise UserError("--head is about pictures: give it with pictures, or with --from and a dataset")
    asked = options.remove or options.rename is not None
    if options.character and not (asked or options.heads):
        raise UserError(f"give pictures of {options.character}, or --remove or --rename NEW")
    if (options.remove or options.rename is not None) and (options.heads or (options.remove and options.rename is not None)):
        raise UserError("--remove, --rename NEW and pictures exclude each other: give one of them")


def change(options: Any, folder: Path, shown: Path, pictures: Sequence[Path]) -> int:
    """Do what was asked for in the bundle in folder, say what was done, and return the exit code.

    shown: the bundle as the user calls it. Raises UserError: nothing was changed.
    """
    if options.file:
        is_bundle = can_be_adopted(options.file)
        if not is_bundle and (options.file.is_dir() or options.file.suffix.lower() in TABLES):
            return _enroll_dataset(options.file, folder, shown, options.head)
        if options.head:
            raise UserError(f"--head is about pictures, and the heads in {options.file} were found before: leave it out")
        return (_adopt if is_bundle else _enroll_file)(options.file, folder, shown)
    if options.remove:
        enrollment.remove(folder, options.character, options.series)
        say_line(f"{options.character} was removed from {shown}")
    elif options.rename is not None:
        new = enrollment.rename(folder, options.character, options.series, options.rename)
        say_line(f"{options.character} is now {new} in {shown}")
    else:
        return enroll(folder, shown, options.character, options.series, pictures, options.head)
    return 0


def enroll(folder: Path, shown: Path, character: str, series: str | None, pictures: Sequence[Path], head: bool) -> int:
    """Enroll a character from pictures, and say what was done. head: every picture is one head."""
    _say_result(enrollment.enroll(folder, character, series, pictures, head), shown)
    return 0


def _enroll_file(file: Path, folder: Path, shown: Path) -> int:
    """Each character is added or not as a whole; 1 if one was not."""
    characters = enrollment_file.read(file)
    if not characters:
        raise UserError(f"{file} contains no characters")
    errors = []
    for result in enrollment_file.enroll_all(folder, characters):
        if isinstance(result, UserError):
            errors.append(str(result))
        else:
            _say_result(result, shown)
    if len(errors) == len(characters):
        raise UserError(
            errors[0] if len(errors) == 1 else f"none of {len(errors)} characters was added; of the first: {errors[0]}"
        )
    for line in errors:
        say_error(line)
    return 1 if errors else 0


def _enroll_dataset(dataset: Path, folder: Path, shown: Path, head: bool) -> int:
    """1 if something was left out."""
    from crystal_eyes.recognizer.bulk import enroll_dataset  # which needs pandas

    report = enroll_dataset(folder, dataset, head)
    for name, why in report.left_out:
        say_error(f"left out {name}: {why}")
    heads = "1 head" if report.heads == 1 else f"{report.heads:,} heads"
    before = f", {report.unchanged:,} were there before" if report.unchanged else ""
    say_line(f"{report.added:,} characters were added to {shown} from {heads}{before}")
    return 1 if report.left_out else 0


def _adopt(source: Path, folder: Path, shown: Path) -> int:
    found = adopt(folder, source)
    before = f", {found.before:,} were there before" if found.before else ""
    if found.characters:
        say_line(f"{found.characters:,} characters were added to {shown} from {count_of(found.heads)} of {source}{before}")
    else:
        say_line(f"nothing was added to {shown}: all {found.before:,} characters of {source} were there before")
    return 0


def write_file(bundle: Bundle, file: Path) -> None:
    """Write the enrolled characters to a new file, and say how many. Raises UserError, without writing."""
    count = enrollment_file.write(bundle, file)
    say_line(f"{'1 character was' if count == 1 else f'{count} characters were'} written to {file}")


def _say_result(result: enrollment.Enrollment, shown: Path) -> None:
    for line in enrolled_lines(result, str(shown)):
        say_line(line)
