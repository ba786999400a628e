"""The routes of the page on which the groups of a collection are named."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from crystal_eyes.collection.enrolling import enroll_group
from crystal_eyes.collection.groups import Group, Groups
from crystal_eyes.errors import UserError
from crystal_eyes.web import rendering
from crystal_eyes.web.finding import head_of
from crystal_eyes.web.live import LiveRecognizer
from crystal_eyes.web.live_groups import BusyError, LiveGroups

SHOWN = 12  # groups on a page
MAX_BODY = 100_000  # bytes
MAX_NUMBERS = 5000  # of groups or heads in a request
KEPT = "private, max-age=3600"  # of a head's picture, whose address changes with what it shows
WAIT = {"retry-after": "3"}


def group_routes(live: LiveRecognizer, folder: Path, is_private: bool) -> list[Route]:
    """GET /groups?page=2 is the page, GET /groups?group=17 that of one group with all its heads, GET /head/ID the picture of a
    head. POST /groups changes what JSON says: {"do": "name", "group": 17, "name": "...", "series": "..."}, {"do": "merge",
    "groups": [...]} or {"do": "split", "heads": [...]}, and {"shown": [...], "whole": false}: the numbers of the groups on the
    page, and whether all of their heads are. It gives these groups anew, as HTML.

    is_private: only this machine reaches the server. Elsewhere groups are shown, but not changed: there is no login.
    """
    groups = LiveGroups(live, folder)

    def page(request: Request) -> Response:
        query = request.query_params
        try:
            number, start = (max(0, int(query.get(name, default))) for name, default in (("group", "0"), ("page", "1")))
        except ValueError:
            return PlainTextResponse("The address is wrong: page and group are numbers.", 400)
        try:
            with groups.open() as (opened, recognizer):
                start = min(max(1, start), max(1, -(-len(opened) // SHOWN)))
                if number:
                    shown = [opened.one(number, recognizer.naming)]
                else:
                    shown = opened.part((start - 1) * SHOWN, start * SHOWN, recognizer.naming)
                count, outliers = len(opened), int((opened.labels < 0).sum())
                values = {"count": count, "heads": len(opened.labels), "outliers": outliers, "remark": opened.remark}
        except BusyError:
            return HTMLResponse(rendering.groups_wait(folder), headers=WAIT)
        except UserError as error:
            return PlainTextResponse(_sentence(error), 404 if number else 503)
        pages = max(1, -(-count // SHOWN))
        return HTMLResponse(
            rendering.groups(folder, shown, page=start, pages=pages, whole=bool(number), can_change=is_private, **values)
        )

    async def change(request: Request) -> Response:
        if not is_private:
            return PlainTextResponse("Groups are only changed on the machine that serves this page: there is no login.", 403)
        try:
            asked = _asked(await _body(request))
        except ValueError as error:
            return PlainTextResponse(f"The request is wrong: {error}.", 400)
        except ClientDisconnect:
            return PlainTextResponse("The request was interrupted.", 400)
        return await run_in_threadpool(_change, asked)

    def _change(asked: dict[str, Any]) -> Response:
        try:
            with groups.open() as (opened, recognizer):
                changed, said = _do(opened, asked)
                groups.changed()
                if asked["do"] == "name":
                    said += enroll_group(changed, recognizer.naming.known, live.source)
                    recognizer = live.get()  # it knows her from now on
                shown = _again(opened, changed, asked["shown"], lambda head: opened.one(head, recognizer.naming))
        except BusyError:
            return PlainTextResponse("The groups are being found: try again in a minute.", 503)
        except UserError as error:
            return PlainTextResponse(_sentence(error), 409)
        return HTMLResponse(rendering.group_cards(shown, changed.number, said, whole=asked.get("whole") is True))

    def head(request: Request) -> Response:
        picture = head_of(folder, request.path_params["head"])
        if picture is None:
            return PlainTextResponse("The collection has no such picture.", 404)
        return Response(picture, media_type="image/jpeg", headers={"cache-control": KEPT})

    return [
        Route("/groups", page),
        Route("/groups", change, methods=["POST"]),
        Route("/head/{head:int}", head),
    ]


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise ValueError("too long")
    return bytes(body)


def _asked(body: bytes) -> dict[str, Any]:
    """The change that a request asks for. Raises ValueError: it is none."""
    asked = json.loads(body)  # a JSONDecodeError is a ValueError
    if not isinstance(asked, dict) or asked.get("do") not in ("name", "merge", "split"):
        raise ValueError("do is name, merge or split")
    asked.setdefault("shown", [])
    for key in ("shown", {"name": "", "merge": "groups", "split": "heads"}[asked["do"]]):
        numbers = asked.get(key, []) if key else [asked.get("group")]
        if not isinstance(numbers, list) or len(numbers) > MAX_NUMBERS or not all(type(one) is int for one in numbers):
            raise ValueError(f"{key or 'group'} has to be made of numbers")
        if not numbers and key != "shown":
            raise ValueError(f"{key} is empty")
    if asked["do"] == "name" and not all(isinstance(asked.get(key, ""), str) for key in ("name", "series")):
        raise ValueError("name and series are texts")
    return asked


def _do(groups: Groups, asked: dict[str, Any]) -> tuple[Group, list[str]]:
    """The group that was changed, and what was done. Raises UserError: nothing was."""
    if asked["do"] == "name":
        changed = groups.name(asked["group"], asked.get("name", ""), asked.get("series", ""))
        return changed, [f"These {len(changed.heads)} heads are {changed.title} now."]
    if asked["do"] == "merge":
        changed = groups.merge(asked["groups"])
        return changed, [f"{len(asked['groups'])} groups are one now, with {len(changed.heads)} heads."]
    changed = groups.split(asked["heads"])
    return changed, ["1 head is a group of its own now." if len(changed.heads) == 1
                     else f"{len(changed.heads)} heads are a group of their own now."]  # fmt: skip


def _again(groups: Groups, changed: Group, shown: list[int], one: Callable[[int], Group]) -> list[Group]:
    """The groups in which the heads with these numbers are now, each once, and the changed one."""
    found: dict[int, Group] = {}
    for number in shown:
        try:
            group = one(number)
        except UserError:  # its picture was forgotten meanwhile
            continue
        found.setdefault(group.number, group)
    found.setdefault(changed.number, changed)
    return list(found.values())


def _sentence(error: UserError) -> bytes:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}.".encode("utf-8", "replace")
