"""Packs the released recognizer, which lies outside the package, into the wheel. Everything else is in pyproject.toml."""

import json
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SOURCE = Path(__file__).parent / "models" / "recognizer"
LISTING = "bundle.json"


class BuildWithModel(build_py):
    """Copies the files of the bundle, not what lies beside them, to crystal_eyes/released. An editable installation finds them
    in the checkout."""

    def run(self) -> None:
        super().run()
        if self.editable_mode or not (SOURCE / LISTING).is_file():
            return
        for name in (LISTING, *json.loads((SOURCE / LISTING).read_text("utf-8"))["files"]):
            target = Path(self.build_lib, "crystal_eyes", "released", name)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(SOURCE / name, target)


setup(cmdclass={"build_py": BuildWithModel})
