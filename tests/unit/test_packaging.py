"""The wheel holds the library, the whole library and nothing else, and works with its declared dependencies alone."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import PackageNotFoundError, distribution, requires
from pathlib import Path

import pytest

from tests.bundles import ORIGINAL
from tests.runs import draw_head

ROOT = Path(__file__).resolve().parents[2]

BUILT = {"index.html", "runtime/ort.wasm.bin"}

pytestmark = pytest.mark.slow  # builds a wheel


def files_below(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from a copy: setuptools leaves a build folder next to the sources."""
    return built_from(sources(tmp_path_factory.mktemp("source")), tmp_path_factory.mktemp("wheel"))


def sources(folder: Path) -> Path:
    """A copy of what a wheel is built from, without the released model."""
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, folder)
    for name in ("crystal_eyes", "pipeline", "steps"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def built_from(source: Path, out: Path) -> Path:
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    done = subprocess.run([*command, "--wheel-dir", out, source], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (path,) = out.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def wheel_with_model(bundle_folder, tmp_path_factory) -> Path:
    """A wheel of a checkout with a released model, and the encoder for training beside it."""
    source = sources(tmp_path_factory.mktemp("released"))
    shutil.copytree(bundle_folder, source / "models" / "recognizer")
    (source / "models" / "recognizer" / "encoder.safetensors").write_bytes(b"for training only")
    (source / "web" / "dist" / "runtime").mkdir(parents=True)  # stands for the page that npm builds
    for name in BUILT:
        (source / "web" / "dist" / name).write_text("built")
    return built_from(source, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The unpacked wheel with its declared dependencies, as pip would install it."""
    return unpacked(wheel, tmp_path_factory.mktemp("site"))


def unpacked(wheel: Path, site: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (metadata,) = site.glob("*.dist-info/METADATA")
    declared = [line.split(":", 1)[1] for line in metadata.read_text().splitlines() if line.startswith("Requires-Dist:")]
    for name in with_their_own(declared):
        files = distribution(name).files or []
        for top in {file.parts[0] for file in files} - {"..", "__pycache__"}:
            if not (site / top).exists():
                (site / top).symlink_to(distribution(name).locate_file(top))
    return site


def with_their_own(requirements: list[str]) -> set[str]:
    """Names of the installed distributions that these requirements bring, without extras."""
    names: set[str] = set()
    remaining = [*requirements]
    while remaining:
        requirement = remaining.pop()
        name = re.match(r"\s*([\w.-]+)", requirement)[1]
        if name not in names and "extra ==" not in requirement:
            try:
                remaining += requires(name) or []
            except PackageNotFoundError:
                continue  # for another platform
            names.add(name)
    return names


def run(site: Path, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Code in an interpreter that sees the standard library and the given folder only."""
    code = f"import sys; sys.path = [p for p in sys.path if 'site-packages' not in p] + [{str(site)!r}]; {code}"
    given = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "CRYSTAL_EYES_"))}
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, *arguments], capture_output=True, text=True, cwd=site, timeout=120, env=given
    )


def test_the_wheel_holds_every_file_of_the_library_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert packed == {f"crystal_eyes/{name}" for name in files_below(ROOT / "crystal_eyes")}
    assert {"crystal_eyes/py.typed", "crystal_eyes/cli.py", "crystal_eyes/web/examples/1 three heads.webp"} <= packed


def test_the_wheel_carries_license_and_notice(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name.partition(".dist-info/")[2]: name for name in archive.namelist()}
        for name in ("LICENSE", "NOTICE"):
            assert archive.read(names[f"licenses/{name}"]) == (ROOT / name).read_bytes()
        assert "License-Expression: Apache-2.0\n" in archive.read(names["METADATA"]).decode()


def test_the_command_starts_with_the_declared_dependencies_alone(installed):
    done = run(installed, "sys.argv[0] = 'crystal-eyes'; from crystal_eyes.cli import main; main()", "--help")
    assert done.returncode == 0, done.stderr
    assert all(command in done.stdout for command in ("recognize", "check", "enroll", "serve"))


def test_pictures_are_recognized_with_the_declared_dependencies_alone(installed, bundle_folder, tmp_path):
    draw_head(0, 0).resize((192, 192)).save(tmp_path / "picture.png")
    given = ["recognize", "--bundle", str(bundle_folder), "--json", str(tmp_path / "picture.png")]
    done = run(installed, "from crystal_eyes.cli import main; sys.exit(main())", *given)
    assert done.returncode == 0, done.stderr
    assert '"candidates"' in done.stdout


def test_an_installed_wheel_recognizes_with_the_model_that_it_brings(wheel_with_model, bundle_folder, tmp_path):
    with zipfile.ZipFile(wheel_with_model) as archive:
        packed = {name for name in archive.namelist() if name.startswith("crystal_eyes/released/")}
    assert packed == {f"crystal_eyes/released/{name}" for name in files_below(bundle_folder)}
    site = unpacked(wheel_with_model, tmp_path)
    draw_head(0, 0).resize((192, 192)).save(tmp_path / "picture.png")
    command = "from crystal_eyes.cli import main; sys.exit(main())"
    done = run(site, command, "recognize", "--json", str(tmp_path / "picture.png"))
    assert done.returncode == 0 and '"candidates"' in done.stdout, done.stderr
    assert done.stderr == "crystal-eyes: using the released recognizer (the default)\n"
    done = run(site, command, "characters", "--series", "Series 1")
    assert done.returncode == 0 and f"Character 1 (Series 1), {ORIGINAL[1]}, 4 heads" in done.stdout, done.stderr


def test_an_installed_wheel_writes_a_site_with_the_page_that_it_brings(wheel_with_model, installed, tmp_path):
    with zipfile.ZipFile(wheel_with_model) as archive:
        packed = {name for name in archive.namelist() if name.startswith("crystal_eyes/web/built/")}
    assert packed == {f"crystal_eyes/web/built/{name}" for name in BUILT}
    command = "from crystal_eyes.cli import main; sys.exit(main())"
    done = run(unpacked(wheel_with_model, tmp_path), command, "web", "--output", str(tmp_path / "site"))
    assert done.returncode == 0 and "MB before the first answer" in done.stdout, done.stderr
    assert BUILT | {"bundle/encoder.bin"} <= files_below(tmp_path / "site")
    done = run(installed, command, "web", "--output", str(tmp_path / "other"))
    assert done.returncode == 1 and "has no built web page: run `make web`" in done.stderr


def test_an_installed_wheel_without_the_model_says_so_in_a_line(installed, tmp_path):
    draw_head(0, 0).save(tmp_path / "picture.png")
    done = run(installed, "from crystal_eyes.cli import main; sys.exit(main())", "recognize", str(tmp_path / "picture.png"))
    assert done.returncode == 1 and "this installation has no released recognizer" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_packages_that_are_not_installed_cannot_be_imported(installed):
    """Otherwise the tests above would prove nothing."""
    done = run(installed, "import torch")
    assert done.returncode == 1 and "ModuleNotFoundError" in done.stderr
