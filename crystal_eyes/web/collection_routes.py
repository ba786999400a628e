"""The routes of the page that search in a collection."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from crystal_eyes.collection import Collection
from crystal_eyes.errors import UserError
from crystal_eyes.recognizer.finding import Search
from crystal_eyes.web import rendering
from crystal_eyes.web.answers import Answer
from crystal_eyes.web.finding import Found, search, thumbnail_of
from crystal_eyes.web.group_routes import group_routes
from crystal_eyes.web.live import LiveRecognizer
from crystal_eyes.web.memory import give_back
from crystal_eyes.web.settings import Settings


def collection_routes(
    live: LiveRecognizer,
    folder: Path,
    settings: Settings,
    receive: Callable[[Request, Any], Awaitable[Answer]],
    is_private: bool,
) -> list[Route]:
    """GET /collection is the page. POST /search?name=NAME with a picture as the body gives JSON ({"picture", "found", "heads"}
    or {"picture", "error"}), POST /found the same as HTML. GET /thumbnail/ID is the picture with a head of the collection.

    receive: gives an upload to a function, in its turn. is_private: as group_routes, which adds the page of groups.
    """

    def page(_: Request) -> Response:
        try:
            with Collection.open(folder) as collection:
                return HTMLResponse(rendering.collection(len(collection), settings))
        except UserError as error:  # it was moved or removed while the page is served
            return PlainTextResponse(f"The collection can't be read: {error}.".encode("utf-8", "replace"), 503)

    def look_for(name: str, data: bytes, how: Search) -> Found:
        try:
            return search(live.get(), folder, name, data, settings, how)
        finally:
            give_back()

    async def found(request: Request) -> Response:
        answered = await receive(request, look_for)
        return HTMLResponse(
            rendering.found(answered) if isinstance(answered, Found) else rendering.card(answered), answered.status
        )

    async def as_json(request: Request) -> Response:
        answered = await receive(request, look_for)
        # as escapes: a file name's undecodable bytes are lone surrogates, which JSON can hold but UTF-8 can't
        return Response(json.dumps(answered.as_dict()), answered.status, media_type="application/json")

    def thumbnail(request: Request) -> Response:
        # by number: no name of a file is ever taken from a request
        picture = thumbnail_of(folder, request.path_params["head"])
        if picture is None:
            return PlainTextResponse("The collection has no such picture.", 404)
        return Response(picture, media_type="image/jpeg")

    return [
        Route("/collection", page),
        Route("/found", found, methods=["POST"]),
        Route("/search", as_json, methods=["POST"]),
        Route("/thumbnail/{head:int}", thumbnail),
        *group_routes(live, folder, is_private),
    ]
