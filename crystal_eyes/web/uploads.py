"""Uploads: one picture per request, held in memory, limited while it is received, processed in turn."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import ClientDisconnect, Request

from crystal_eyes.web.settings import Settings

MAX_HELD = 500_000_000  # bytes of all uploads together
MAX_SECONDS = 300.0  # for one upload to arrive


class Refused(Exception):
    """An upload that is not accepted: an HTTP status and a sentence for the sender."""

    def __init__(self, status: int, sentence: str):
        super().__init__(sentence)
        self.status = status


class Uploads:
    def __init__(self, settings: Settings, max_held: int = MAX_HELD, max_seconds: float = MAX_SECONDS):
        self._settings, self._max_held, self._max_seconds = settings, max_held, max_seconds
        self._turns = asyncio.Semaphore(settings.at_once)
        self.requests = 0  # being received, waiting or processed
        self.held = 0  # bytes in memory

    @asynccontextmanager
    async def receive(self, request: Request) -> AsyncIterator[bytes]:
        """The request's body once it is its turn to be processed; the turn ends with the context.

        Raises Refused (too large, too slow, too many others), ClientDisconnect. uvicorn reads and drops the rest of a refused
        body: most senders look for an answer only when they are done.
        """
        if self.requests >= self._settings.at_once + self._settings.waiting:
            raise Refused(503, "The server is busy: try again in a minute.")
        self.requests += 1
        body = bytearray()
        try:
            try:
                async with asyncio.timeout(self._max_seconds):
                    await self._read(request, body)
            except TimeoutError:
                raise Refused(408, "The upload took too long: try again with a faster connection.") from None
            async with self._turns:
                if await request.is_disconnected():
                    raise ClientDisconnect
                yield bytes(body)
        finally:
            self.requests -= 1
            self.held -= len(body)

    async def _read(self, request: Request, body: bytearray) -> None:
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > self._settings.max_upload:  # no need to wait for it
            raise Refused(413, self._settings.too_large)
        async for chunk in request.stream():
            if len(body) + len(chunk) > self._settings.max_upload:
                raise Refused(413, self._settings.too_large)
            if self.held + len(chunk) > self._max_held:
                raise Refused(503, "The server has too many pictures in memory: try again in a minute.")
            body += chunk
            self.held += len(chunk)
