"""The file in which enrolled characters are passed on."""

import base64
import json
import shutil

import pytest

from crystal_eyes import cli
from crystal_eyes.recognizer import Recognizer
from tests.runs import draw_head


@pytest.fixture
def run(capsys):
    def call(*arguments) -> tuple[int, str, str]:
        code = cli.main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def bundle(bundle_folder, tmp_path):
    return shutil.copytree(bundle_folder, tmp_path / "bundle")


@pytest.fixture
def heads(tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for number, path in enumerate(paths):
        draw_head(20, number).resize((192, 192)).save(path)
    return paths


def test_what_was_enrolled_goes_to_another_bundle_in_a_file(run, bundle, bundle_folder, heads, tmp_path):
    file, other = tmp_path / "mine.json", tmp_path / "other"
    assert run("enroll", "--bundle", bundle, "--character", "Nova", "--series", "S", *heads[:2])[0] == 0
    code, said, _ = run("enroll", "--bundle", bundle, "--to", file)
    assert (code, said) == (0, f"1 character was written to {file}\n")
    code, said, _ = run("enroll", "--bundle", bundle_folder, "--from", file, "--output", other)
    assert code == 0 and said.endswith(f"Nova was added to {other} from 2 heads\n")
    first, second = (Recognizer.load(folder, threads=1).recognize(heads[2])[0] for folder in (bundle, other))
    assert "Nova" in [one.character for one in second.nearest]
    by_name = [{one.character: one.similarity for one in head.nearest} for head in (first, second)]
    assert abs(by_name[0]["Nova"] - by_name[1]["Nova"]) < 0.02  # the pictures are compressed
    code, said, error = run("enroll", "--bundle", other, "--from", file)
    assert (code, said) == (1, "") and "are already enrolled" in error and len(error.splitlines()) == 1


def test_two_pictures_of_one_name_are_two_heads(run, bundle, heads, tmp_path):
    """Phones call every picture image.jpg."""
    pictures = [base64.b64encode(path.read_bytes()).decode() for path in heads[:2]]
    characters = [{"character": "Nova", "series": "", "heads": [{"name": "image.png", "picture": one} for one in pictures]}]
    write(tmp_path / "mine.json", characters)
    assert run("enroll", "--bundle", bundle, "--from", tmp_path / "mine.json")[1].endswith("from 2 heads\n")


def test_one_bad_character_does_not_keep_out_the_others(run, bundle, heads, tmp_path):
    picture = base64.b64encode(heads[0].read_bytes()).decode()
    named = [
        {"character": name, "series": "", "heads": [{"name": "a", "picture": picture}]} for name in ("Character 1", "Nova")
    ]
    write(tmp_path / "mine.json", named)
    code, said, error = run("enroll", "--bundle", bundle, "--from", tmp_path / "mine.json")
    assert code == 1 and f"Nova was added to {bundle} from 1 head" in said and "Character 1 is already in" in error


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("no JSON", "is not a file of characters that Crystal Eyes has written"),
        ('{"kind": "other"}', "is not a file of characters that Crystal Eyes has written"),
        ("[1]", "is not a file of characters that Crystal Eyes has written"),
        ('{"kind": "crystal-eyes characters", "format": 2}', "has format 2, this version reads 1: update crystal-eyes"),
        ('{"kind": "crystal-eyes characters", "format": 1, "characters": [{}]}', "is damaged"),
        ('{"kind": "crystal-eyes characters", "format": 1, "characters": []}', "contains no characters"),
    ],
)
def test_a_file_that_does_not_fit_gets_one_line_and_changes_nothing(run, bundle, bundle_folder, tmp_path, text, says):
    (tmp_path / "mine.json").write_text(text)
    code, said, error = run("enroll", "--bundle", bundle, "--from", tmp_path / "mine.json")
    assert (code, said) == (1, "") and says in error and len(error.splitlines()) == 1
    assert (bundle / "bundle.json").read_bytes() == (bundle_folder / "bundle.json").read_bytes()


def test_tasks_that_exclude_each_other_get_one_line(run, bundle, heads, tmp_path):
    file = tmp_path / "mine.json"
    for arguments, says in [
        ((), "say whom with --character NAME"),
        (("--from", file, "--character", "Nova"), "--from is about all characters"),
        (("--from", file, "--to", file), "--from is about all characters"),
        (("--to", file, heads[0]), "--to is about all characters"),
        (("--to", file), "no character was enrolled into"),
    ]:
        code, said, error = run("enroll", "--bundle", bundle, *arguments)
        assert (code, said) == (1, "") and says in error and len(error.splitlines()) == 1 and not file.exists()


def write(path, characters) -> None:
    path.write_text(json.dumps({"kind": "crystal-eyes characters", "format": 1, "characters": characters}), "utf-8")
