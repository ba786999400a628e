"""Security headers for browsers, and checks of a request's host and origin."""

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    # data: pictures of an answer come inside its HTML
    "content-security-policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-cache",
}


class SecurityHeaders:
    """ASGI middleware that adds HEADERS to every response, except for those that it has already."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_with_headers)


class SameOrigin:
    """ASGI middleware that refuses a POST which a browser sends on behalf of another site."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST" and is_cross_origin(Headers(scope=scope)):
            return await PlainTextResponse("Requests from other sites are refused.", 403)(scope, receive, send)
        await self.app(scope, receive, send)


def is_cross_origin(headers: Headers) -> bool:
    """Whether another site's page caused this request. Programs other than browsers send neither of the two headers."""
    site = headers.get("sec-fetch-site")  # first: unlike Origin against Host, it also holds behind a proxy that ends TLS
    if site is not None:
        return site != "same-origin"
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")


def allowed_hosts(host: str, address: str) -> list[str]:
    """The Host headers that a server answers to. host: as the user named it; address: the IP address it listens on.

    On loopback only names of this machine: a site whose DNS name is pointed at 127.0.0.1 (DNS rebinding) must not read answers.
    Elsewhere any, since nobody knows by which names people reach the machine.
    """
    return ["localhost", "127.0.0.1", "[::1]", host] if ipaddress.ip_address(address).is_loopback else ["*"]
