"""A bucket that the processes of a test file share."""

import contextlib

import pytest

from crystal_eyes.data import storage
from tests.servers import s3


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    """The folder of the bucket `heads` of an S3 server; None: there is no server here."""
    folder = tmp_path_factory.mktemp("s3")
    (folder / "heads").mkdir()
    with contextlib.ExitStack() as stack:
        try:
            environment = stack.enter_context(s3(folder)).environment
        except pytest.skip.Exception:
            yield None
            return
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in environment.items():
            patch.setenv(name, value)
        storage._s3.cache_clear()
        yield folder / "heads"
    storage._s3.cache_clear()
