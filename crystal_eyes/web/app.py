"""The routes of the web page, and how a request is answered."""

import mimetypes
from collections.abc import Callable, Mapping, Sequence

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from crystal_eyes.detector.defaults import NORMAL
from crystal_eyes.recognizer.finding import Search
from crystal_eyes.web import rendering
from crystal_eyes.web.answers import Answer, Answered, answer
from crystal_eyes.web.collection_routes import collection_routes
from crystal_eyes.web.guard import SameOrigin, SecurityHeaders
from crystal_eyes.web.live import LiveRecognizer
from crystal_eyes.web.memory import give_back
from crystal_eyes.web.settings import Settings
from crystal_eyes.web.uploads import Refused, Uploads

NAME_LENGTH = 80


def create_app(live: LiveRecognizer, settings: Settings, uploads: Uploads, hosts: Sequence[str]) -> ASGIApp:
    """GET / is the page, GET /characters lists whom it knows. POST /recognize?name=NAME with a picture as the body gives JSON
    ({"picture", "found", "heads"} or {"picture", "error"}), POST /card the same as HTML; detail=high and head=true as in
    Recognizer.find. For a collection see collection_routes. hosts: whose Host headers are answered.
    """

    def page(_: Request) -> Response:
        return HTMLResponse(rendering.page(live.get(), settings))

    def characters(_: Request) -> Response:
        return HTMLResponse(rendering.characters(live.get()))

    async def card(request: Request) -> Response:
        answered = await receive(request, look_at)
        return HTMLResponse(rendering.card(answered), answered.status)

    async def recognize(request: Request) -> Response:
        answered = await receive(request, look_at)
        return JSONResponse(answered.as_dict(), answered.status)

    async def receive(request: Request, look: Callable[[str, bytes, Search], Answered]) -> Answered | Answer:
        name = request.query_params.get("name", "")[:NAME_LENGTH] or "Picture"
        try:
            search = search_of(request.query_params)
        except ValueError as error:
            return Answer(name, f"The address is wrong: {error}.", 400)
        try:
            async with uploads.receive(request) as data:
                return await run_in_threadpool(look, name, data, search)
        except Refused as error:
            return Answer(name, str(error), error.status)
        except ClientDisconnect:
            return Answer(name, "The upload was interrupted.", 400)  # nobody is there to read it

    def look_at(name: str, data: bytes, search: Search) -> Answer:
        try:
            return answer(live.get(), name, data, settings.max_heads, search)
        finally:
            give_back()

    mimetypes.add_type("image/webp", ".webp")  # unknown to Python before 3.13
    app = Starlette(
        routes=[
            Route("/", page),
            Route("/characters", characters),
            Route("/card", card, methods=["POST"]),
            Route("/recognize", recognize, methods=["POST"]),
            *(collection_routes(live, settings.collection, settings, receive, "*" not in hosts) if settings.collection else ()),
            Mount("/static", StaticFiles(directory=rendering.FOLDER / "static")),
            Mount("/examples", StaticFiles(directory=rendering.FOLDER / "examples")),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False),
            Middleware(SameOrigin),
        ],
    )
    return SecurityHeaders(app)


def search_of(query: Mapping[str, str]) -> Search:
    """How the query of a request wants its picture searched. Raises ValueError if it can't be understood."""
    head = query.get("head", "false")
    if head not in ("true", "false"):
        raise ValueError(f"head is {head[:NAME_LENGTH]!r}: it must be true or false")
    return Search(query.get("detail", NORMAL)[:NAME_LENGTH], head == "true")
