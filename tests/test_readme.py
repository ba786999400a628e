"""The README is a promise: its commands are those that exist."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from crystal_eyes import cli
from pipeline.chain import Main
from pipeline.parameters.declare import parse
from pipeline.parameters.steps import STEPS
from pipeline.sweep import Sweep
from tests.runs import draw_head

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line.split("  #")[0].strip() for block in re.findall(r"```bash\n(.*?)```", README, re.S) for line in block.splitlines()
]
MLFLOW = [command for command in COMMANDS if command.startswith("mlflow run")]


def test_there_are_commands_of_every_kind():
    assert "make main" in COMMANDS and "make test" in COMMANDS and len(MLFLOW) >= 4
    kinds = ("make ", "mlflow run ", "mlflow models serve ", "crystal-eyes ", "export ", "wandb sweep ", "wandb agent ")
    assert all(command.startswith(kinds) for command in COMMANDS)


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("crystal-eyes ")])
def test_the_command_line_knows_these_words(command):
    options = cli.arguments().parse_args(shlex.split(command)[1:])
    assert options.run.__name__ == shlex.split(command)[1]


def test_the_python_lines_run_on_a_bundle_and_a_picture(bundle_folder, tmp_path, capsys):
    (lines,) = re.findall(r"```python\n(.*?)```", README, re.S)
    draw_head(0, 0).resize((192, 192)).save(tmp_path / "picture.png")
    lines = lines.replace('"bundle"', repr(str(bundle_folder))).replace("picture.png", str(tmp_path / "picture.png"))
    exec(compile(lines, "README.md", "exec"), {})
    assert "Candidate(character=" in capsys.readouterr().out


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("make ")])
def test_make_knows_the_target(command):
    done = subprocess.run([*command.split(), "--dry-run"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", MLFLOW)
def test_mlflow_commands_name_entry_points_and_parameters_that_exist(command):
    words = shlex.split(command)
    assert words[:4] == ["mlflow", "run", ".", "-e"]
    config = {"main": Main, "sweep": Sweep, **STEPS}[words[4]]
    given = [words[i + 1].partition("=") for i, word in enumerate(words) if word == "-P"]
    parsed = parse(config, [text for name, _, value in given for text in (f"--{name}", value)])
    assert all(str(getattr(parsed, name)).lower() == value.lower() for name, _, value in given)


def test_the_table_of_entry_points_is_complete():
    assert set(re.findall(r"^\| `(\w+)` \|", README, re.M)) == set(STEPS)


def test_every_picture_is_there_and_every_artist_of_the_cast_is_named():
    from crystal_eyes.data.cast import credits

    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", README)
    assert pictures and all((ROOT / picture).is_file() for picture in pictures)
    for _, _, artist, licence, _, _ in credits():
        assert artist in README and licence in README
