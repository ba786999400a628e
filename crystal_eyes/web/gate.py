"""What is let in: the addresses that the page needs, in sizes that it can take, and nothing else of gradio's.

Gradio also answers on addresses that fetch any public URL, keep a session's data on disk, take screen recordings, ...
"""

import re

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crystal_eyes.web.uploads import Uploads

OPEN = {
    "GET": re.compile(
        r"/|/(config|theme\.css|favicon\.ico|robots\.txt|manifest\.json)|/(static|assets|svelte)/.*"
        r"|/gradio_api/(info|openapi\.json|app_id|startup-events|theme\.css|queue/(data|status)|heartbeat/\w+)/?"
        r"|/gradio_api/call/(v2/)?recognize/\w+"
    ),
    "HEAD": re.compile("/"),
    "POST": re.compile(r"/gradio_api/(queue/join|cancel|reset|call/(v2/)?recognize)/?"),
}
UPLOAD, UPLOAD_PROGRESS = "/gradio_api/upload", "/gradio_api/upload_progress"
MOST_BYTES = 1_000_000  # of a question; pictures are uploaded before
# The browser is to hold us to it: nothing from other hosts, no page of theirs around ours. Gradio's own code needs inline
# scripts and eval.
HEADERS = {
    "content-security-policy": "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' blob:; worker-src 'self' blob:; "
    "object-src 'none'; frame-ancestors 'none'; form-action 'none'",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class Gate:
    """ASGI application in front of the page's."""

    def __init__(self, app: ASGIApp, uploads: Uploads):
        self.app, self.uploads = app, uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        await (await self._choose(Request(scope, receive)))(scope, receive, send_with_headers)

    async def _choose(self, request: Request) -> ASGIApp:
        method, path, length = request.method, request.url.path, request.headers.get("content-length")
        if method == "GET" and path == UPLOAD_PROGRESS:
            return PlainTextResponse('data: {"msg": "done"}\n\n', media_type="text/event-stream")
        upload = method == "POST" and path == UPLOAD
        if not upload and not (method in OPEN and OPEN[method].fullmatch(path)):
            return PlainTextResponse("There is nothing here.", 404)
        # a server hands on no more than the announced length, so checking that is enough
        if method == "POST" and (length is None or "transfer-encoding" in request.headers):
            return PlainTextResponse("Say how long it is (Content-Length).", 411)
        if upload:
            return await self.uploads.receive(request)
        if method == "POST" and int(length) > MOST_BYTES:
            return PlainTextResponse("That is too long: upload pictures first.", 413)
        return self.app
