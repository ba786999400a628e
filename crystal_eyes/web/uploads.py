"""Pictures on their way: each lies in a file of our own until it is read, and no longer.

Gradio's own upload names files after their content, so that two people with one picture share a file, and keeps the parts of
uploads that broke off.
"""

import asyncio
import re
import secrets
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from crystal_eyes.images import PictureError
from crystal_eyes.web.settings import Settings

FRAME = 10_000  # bytes that an upload needs besides each file
MOST_FILES = 100  # of one upload; of those that are more than may be asked about at once the page says that they are
MOST_BYTES = 2_000_000_000  # that may lie here altogether
MOST_SECONDS = 600  # that a file may wait for the question that belongs to it
SWEEP = 60  # seconds
NAME = re.compile(r"[0-9a-f]{32}")


class Uploads:
    def __init__(self, folder: Path, settings: Settings):
        self.folder = folder.resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.settings = settings

    async def receive(self, request: Request) -> Response:
        """Store the files of a multipart form; their paths as JSON, or a sentence with the status 4xx or 5xx."""
        most, limit = self.settings.most_pictures, self.settings.max_upload
        if int(request.headers["content-length"]) > most * (limit + FRAME):
            return PlainTextResponse(self.too_large(), 413)
        if sum(size for _, size in self._lying()) > MOST_BYTES:
            return PlainTextResponse("Too many pictures wait here already: try again in a minute.", 503)
        try:
            async with request.form(max_files=MOST_FILES, max_fields=MOST_FILES) as form:
                files = [file for file in form.getlist("files") if isinstance(file, UploadFile)]
                if any(file.size > limit for file in files):
                    return PlainTextResponse(self.too_large(), 413)
                return JSONResponse([await run_in_threadpool(self._store, file) for file in files])
        except MultiPartException as error:
            many = "Too many files" in error.message
            return PlainTextResponse(f"At most {most} pictures at once." if many else "That was no upload of files.", 400)
        except ClientDisconnect:
            return Response(status_code=400)

    def too_large(self) -> str:
        return f"A picture may have {self.settings.max_upload_mb} MB at most: make it smaller and try again."

    def _store(self, file: UploadFile) -> str:
        path = self.folder / secrets.token_hex(16)
        try:
            with open(path, "xb") as out:
                shutil.copyfileobj(file.file, out)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        return str(path)

    def take(self, file: Mapping) -> bytes:
        """The bytes of an uploaded file, which is deleted. file: {"path": from receive}. Raises PictureError: there is none."""
        path = self._own(file)
        if not path:
            raise PictureError("it was not sent to this page")
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise PictureError("it waited too long and was deleted, send it again") from None
        finally:
            path.unlink(missing_ok=True)

    def discard(self, file: Mapping) -> None:
        """Delete an uploaded file that nobody will look at."""
        if path := self._own(file):
            path.unlink(missing_ok=True)

    def _own(self, file: Mapping) -> Path | None:
        path = self.folder / Path(str(file.get("path"))).name
        return path if str(path) == file.get("path") and NAME.fullmatch(path.name) else None

    def sweep(self, seconds: float = MOST_SECONDS) -> None:
        """Delete what has lain here longer: pictures of people who went away."""
        for path, _ in self._lying():
            try:
                if time.time() - path.stat().st_mtime > seconds:
                    path.unlink()
            except FileNotFoundError:
                continue

    async def keep_sweeping(self) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            await run_in_threadpool(self.sweep)

    def _lying(self) -> list[tuple[Path, int]]:
        found = []
        for path in self.folder.iterdir():
            try:
                found.append((path, path.stat().st_size))
            except FileNotFoundError:  # just taken
                continue
        return found
