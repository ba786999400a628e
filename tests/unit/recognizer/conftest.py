from pathlib import Path

import pytest

from crystal_eyes.recognizer import Recognizer


@pytest.fixture(scope="session")
def recognizer(bundle_folder: Path) -> Recognizer:
    return Recognizer.load(bundle_folder, threads=1)
