from pathlib import Path

import pytest

from crystal_eyes.catalogue import Catalogue
from crystal_eyes.recognizer import Recognizer
from tests.bundles import make_bundle


@pytest.fixture(scope="session")
def bundle_folder(catalogue_folder, exported, tmp_path_factory) -> Path:
    """A bundle of the 8 drawn characters; nobody writes into it."""
    return make_bundle(tmp_path_factory.mktemp("bundled") / "bundle", Catalogue(catalogue_folder), exported[1])


@pytest.fixture(scope="session")
def recognizer(bundle_folder) -> Recognizer:
    return Recognizer.load(bundle_folder, threads=1)
