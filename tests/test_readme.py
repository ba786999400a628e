"""README and documentation are correct: their commands, links, paths and parameters exist, and the cheap commands run."""

import dataclasses
import re
import shlex
import shutil
import subprocess
from functools import partial
from pathlib import Path

import pytest

from crystal_eyes import cli
from crystal_eyes.web.site import page_folder
from pipeline.parameters.declare import merged_fields, parse
from pipeline.parameters.entry_points import MAIN, SWEEP, Main, Release, Sweep
from pipeline.parameters.steps import STEPS
from pipeline.parameters.table import tables, with_tables
from tests.runs import draw_head

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "benchmarks/README.md")),
    ROOT / "models" / "head-detector" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8") for page in PAGES}
README = TEXTS["README.md"]


def commands_in(text: str) -> list[str]:
    """The commands of a page, without the comments behind them."""
    blocks = re.findall(r"```bash\n(.*?)```", text, re.S)
    return [line.split("  #")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]


COMMANDS = list(dict.fromkeys(command for text in TEXTS.values() for command in commands_in(text)))
MLFLOW = [command for command in COMMANDS if command.startswith("mlflow run")]
MAKE = [command for command in COMMANDS if command.startswith("make ")]
OURS = [command for command in COMMANDS if command.startswith("crystal-eyes ")]


def test_there_are_commands_of_every_kind():
    assert "make main" in MAKE and "make test" in MAKE and len(MLFLOW) >= 4 and len(OURS) >= 5
    # `make wheel-check`, which CI runs, installs as pip does
    kinds = (
        "make ",
        "pip install .",
        "mlflow run ",
        "mlflow models serve ",
        "crystal-eyes ",
        "export ",
        "wandb sweep ",
        "wandb agent ",
    )
    assert [command for command in COMMANDS if not command.startswith(kinds)] == []


def test_the_readme_stays_short():
    assert len(README.splitlines()) <= 150


@pytest.fixture
def users_folder(bundle_folder, tmp_path, monkeypatch) -> Path:
    """The current folder, with the files that the README's commands name."""
    draw_head(0, 0).resize((192, 192)).save(tmp_path / "picture.png")
    draw_head(9, 9).resize((192, 192)).save(tmp_path / "design.png")
    for folder in ("folder", "heads"):
        (tmp_path / folder).mkdir()
        for number in range(2):
            draw_head(9, number).resize((192, 192)).save(tmp_path / folder / f"{number}.png")
    shutil.copytree(bundle_folder, tmp_path / "champion")
    monkeypatch.setenv(cli.VARIABLE, str(tmp_path / "champion"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_commands_of_crystal_eyes_run_one_after_the_other(users_folder, capsys):
    said = {}
    for command in (c for c in commands_in(README) if c.startswith("crystal-eyes ")):
        words = shlex.split(command)[1:]
        if words[0] == "serve":  # it does not end: the browser tests run it
            continue
        if words[0] == "web" and page_folder() is None:  # tests/browser/test_site.py runs it
            continue
        assert cli.main(words) == 0, (command, capsys.readouterr().err)
        said[words[0], "--remove" in words] = capsys.readouterr().out
    assert said["recognize", False].count('"candidates"') >= 3  # a line for each picture
    assert "p-value" in said["check", False]
    assert "New One was added to bundle" in said["enroll", False] and "New One" in said["enroll", True]
    assert (users_folder / "bundle" / "bundle.json").is_file()


@pytest.mark.parametrize("command", OURS)
def test_the_command_line_knows_these_words(command):
    options = cli.arguments().parse_args(shlex.split(command)[1:])
    assert options.run.__name__ == shlex.split(command)[1]


def test_the_python_lines_run_on_a_bundle_and_a_picture(bundle_folder, tmp_path, capsys):
    (lines,) = re.findall(r"```python\n(.*?)```", README, re.S)
    draw_head(0, 0).resize((192, 192)).save(tmp_path / "picture.png")
    lines = lines.replace('"bundle"', repr(str(bundle_folder))).replace("picture.png", str(tmp_path / "picture.png"))
    exec(compile(lines, "README.md", "exec"), {})
    assert "Candidate(character=" in capsys.readouterr().out


@pytest.mark.parametrize("command", MAKE)
def test_make_knows_the_target(command):
    done = subprocess.run([*command.split(), "--dry-run"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_make_help_lists_every_target():
    targets = set(re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)[1].split())
    done = subprocess.run(["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True)
    assert {line.split()[0] for line in done.stdout.splitlines()} == targets


@pytest.mark.parametrize("command", MLFLOW)
def test_mlflow_commands_name_entry_points_and_parameters_that_exist(command):
    words = shlex.split(command)
    assert words[:2] == ["mlflow", "run"] and words[2] in (".", "deploy/kubernetes") and words[3] == "-e"
    given = [words[i + 1].partition("=") for i, word in enumerate(words) if word == "-P"]
    read = {"main": Main.parse, "release": Release.parse, "sweep": Sweep.parse}.get(words[4]) or partial(parse, STEPS[words[4]])
    read([text for name, _, value in given for text in (f"--{name}", value)])


@pytest.mark.parametrize("page", TEXTS)
def test_parameters_that_are_named_exist(page):
    known = {*merged_fields(MAIN), *merged_fields(SWEEP)}
    known |= {field.name for step in STEPS.values() for field in dataclasses.fields(step)}
    assert set(re.findall(r"-P ([a-z]\w*)=", TEXTS[page])) - known == set()


def test_the_table_of_entry_points_is_complete():
    assert set(re.findall(r"^\| `(\w+)` \|", README, re.M)) == set(STEPS)


def test_the_parameters_in_the_documentation_are_those_of_the_code():
    page = TEXTS["docs/training.md"]
    assert page == with_tables(page), "run: python -m pipeline.parameters.table docs/training.md"


def test_the_table_shows_every_parameter_with_default_values_and_help():
    @dataclasses.dataclass
    class Example:
        """An example."""

        rate: float = dataclasses.field(default=0.5, metadata={"help": "a | b", "low": 0.0, "high": 1.0, "choices": ()})
        count: int = dataclasses.field(default=2, metadata={"help": "how many", "low": 1, "high": None, "choices": ()})
        circles: bool = dataclasses.field(default=True, metadata={"help": "draw", "low": None, "high": None, "choices": ()})
        kind: str = dataclasses.field(default="x", metadata={"help": "which", "choices": ("x", "y")})
        epochs: int | None = dataclasses.field(default=None, metadata={"help": "empty: the recipe's", "low": None, "high": 9})

    assert tables({"example": Example}).splitlines() == [
        "### example",
        "",
        "An example.",
        "",
        "| parameter | default | values | meaning |",
        "|---|---|---|---|",
        "| `rate` | `0.5` | 0.0 to 1.0 | a \\| b |",
        "| `count` | `2` | at least 1 | how many |",
        "| `circles` | `true` | `true`, `false` | draw |",
        "| `kind` | `x` | `x`, `y` | which |",
        "| `epochs` |  | at most 9 | empty: the recipe's |",
    ]


def test_the_table_replaces_what_is_between_the_markers_and_nothing_else():
    page = "before\n<!-- parameters -->\nold\n<!-- /parameters -->\nafter\n"
    new = with_tables(page)
    assert new.startswith("before\n<!-- parameters -->\n\n### ") and new.endswith("\n<!-- /parameters -->\nafter\n")
    assert "\nold\n" not in new and with_tables(new) == new
    for broken in ("no markers", "<!-- /parameters --><!-- parameters -->", page + page):
        with pytest.raises(ValueError):
            with_tables(broken)


@pytest.mark.parametrize("page", TEXTS)
def test_links_lead_to_files_and_headings_that_exist(page):
    targets = re.findall(r"\]\(([^)\s]+)\)", TEXTS[page])
    for target in (t for t in targets if not t.startswith("http")):
        name, _, heading = target.partition("#")
        path = ((ROOT / page).parent / name).resolve() if name else ROOT / page
        assert path.exists(), target
        if heading:
            assert heading in anchors(path.read_text(encoding="utf-8")), target


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md", "NOTICE"])
def test_paths_that_are_named_exist(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    tops = "crystal_eyes|pipeline|steps|tests|models|benchmarks|docs|notebooks"
    paths = {path for path in re.findall(rf"(?<![\w/.])(?:{tops})/[\w/.-]*\w/?", text) if "NAME" not in path}
    assert paths and sorted(path for path in paths if not (ROOT / path).exists()) == []
    modules = re.findall(r"`(\w+\.py)`", text)
    assert [name for name in modules if not list((ROOT / "crystal_eyes").rglob(name))] == []


def test_every_benchmark_is_described():
    scripts = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "benchmarks").glob("*/*.py")
        if 'if __name__ == "__main__"' in path.read_text()
    }
    assert scripts and {script for script in scripts if f"python {script}" not in TEXTS["benchmarks/README.md"]} == set()


def test_every_picture_is_there_and_every_artist_of_the_cast_is_named():
    from crystal_eyes.data.cast import credits

    assert re.findall(r"!\[[^]]*\]\(([^)]+)\)", README)
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    for _, title, artist, license_name, license_url, source_url in credits():
        for text in (README, notice):
            assert title in text and artist in text.replace("\n", " ") and license_name in text
        assert license_url in notice and source_url in notice
