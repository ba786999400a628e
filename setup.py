"""Packs what lies outside the package into the wheel: the released recognizer, and the page that `make web` builds.

Everything else is in pyproject.toml.
"""

import json
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
SOURCE = ROOT / "models" / "recognizer"
LISTING = "bundle.json"
PAGE = ROOT / "web" / "dist"


class BuildWithModel(build_py):
    """Copies the files of the bundle, not what lies beside them, to crystal_eyes/released, and the built page to
    crystal_eyes/web/built. An editable installation finds them in the checkout."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        if (PAGE / "index.html").is_file():
            shutil.copytree(PAGE, Path(self.build_lib, "crystal_eyes", "web", "built"), dirs_exist_ok=True)
        else:
            self.warn(f"{PAGE} is missing: the wheel's `crystal-eyes web` will not work; `make web` builds the page")
        if not (SOURCE / LISTING).is_file():
            return
        for name in (LISTING, *json.loads((SOURCE / LISTING).read_text("utf-8"))["files"]):
            target = Path(self.build_lib, "crystal_eyes", "released", name)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(SOURCE / name, target)


setup(cmdclass={"build_py": BuildWithModel})
