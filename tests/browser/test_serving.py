"""What programs and attackers send to the served page: each gets an answer or an error message, and nothing is kept."""

import asyncio
import html
import http.client
import io
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace

import httpx
import numpy as np
import pytest
from PIL import Image
from starlette.requests import Request

from crystal_eyes.errors import UserError
from crystal_eyes.images import FORMATS
from crystal_eyes.web.guard import allowed_hosts
from crystal_eyes.web.server import Server
from crystal_eyes.web.uploads import Refused, Uploads
from tests.browser.conftest import SETTINGS, send, serving
from tests.runs import ROOT


def encoded(picture: Image.Image, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    picture.save(out, kind)
    return out.getvalue()


def bomb(side: int) -> bytes:
    """A PNG of side x side white pixels, a few KB."""
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\xff" * (side // 8)) * 64, 9)

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


NOISE = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)))
UNUSABLE = {
    "empty.png": (b"", "empty"),
    "text.png": (b"not a picture at all", "not a PNG"),
    "cut.png": (NOISE[: len(NOISE) // 2], "damaged"),
    "drawing.svg": (b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "not a PNG"),
    "paper.pdf": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj<</Type/Catalog>>endobj", "not a PNG"),
    "archive.zip.jpg": (b"PK\x03\x04" + bytes(200), "not a PNG"),
    "layers.psd": (b"8BPS\0\1" + bytes(60), "not a PNG"),
    "bomb.png": (bomb(60_000), "too large"),
    "over.png": (bomb(9_000), "too large: 9000 x 9000 pixels"),
}


def test_an_avif_picture_is_answered_and_offered(page, example):
    data = io.BytesIO()
    Image.open(example("one head")).save(data, "AVIF", quality=90)
    assert send(page, "a.avif", data.getvalue()).json()["found"] == 1
    accepted = re.search(r'multiple accept="([^"]*)"', httpx.get(page.url).text)
    assert accepted and {f"image/{kind.lower()}" for kind in FORMATS} <= set(accepted[1].split(","))


def test_recognize_answers_as_json(page, example):
    three = send(page, "three.webp", example("three").read_bytes()).json()
    assert three["picture"] == "three.webp" and three["found"] == 3 and len(three["heads"]) == SETTINGS.max_heads
    line = send(page, "", example("line").read_bytes()).json()
    assert line["picture"] == "Picture" and line["heads"][0]["monochrome"]
    assert len(line["heads"][0]["candidates"]) == 5 and line["heads"][0]["sentence"]


def test_a_program_says_how_a_picture_is_searched(page, example):
    plain = encoded(Image.new("L", (500, 200), 128), "PNG")
    (head,) = send(page, "a.png", plain, to="recognize?head=true").json()["heads"]
    assert head["whole_picture"] and head["confidence"] == 1 and head["box"] == [0, 0, 500, 200]
    three = send(page, "b.webp", example("three").read_bytes(), to="recognize?detail=high").json()
    assert three["found"] == 3
    for query, says in [
        ("head=yes", "head is 'yes'"),
        ("detail=fine", "detail is 'fine'"),
        ("detail=high&head=true", "one of the two"),
    ]:
        for to in ("recognize", "card"):
            refused = send(page, "c.png", plain, to=f"{to}?{query}")
            assert refused.status_code == 400 and says in html.unescape(refused.text)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("name", UNUSABLE)
def test_an_unusable_picture_gets_a_sentence(page, name):
    data, says = UNUSABLE[name]
    refused = send(page, name, data)
    assert refused.status_code == 422 and refused.json()["picture"] == name and says in refused.json()["error"]
    html = send(page, name, data, to="card")
    assert html.status_code == 422 and says in html.text and html.headers["content-type"].startswith("text/html")


def test_a_mislabeled_picture_is_answered_and_one_without_a_head_too(page, example):
    assert send(page, "a.pdf", example("one head").read_bytes()).json()["found"] == 1
    gray = encoded(Image.new("L", (500, 200), 128), "GIF")
    assert send(page, "b.png", gray).json() == {"picture": "b.png", "found": 0, "heads": []}


def test_a_long_name_is_cut(page):
    assert send(page, "n" * 5000, NOISE).json()["picture"] == "n" * 80


# Limits


@pytest.mark.parametrize("size", [2**20 + 1, 30_000_000])
def test_a_body_over_the_limit_is_refused_whether_its_length_is_announced_or_not(page, size):
    def chunks() -> Iterator[bytes]:
        for start in range(0, size, 2**16):
            yield bytes(min(2**16, size - start))

    announced = send(page, "a.png", bytes(size))
    streamed = httpx.post(f"{page.url}recognize", content=chunks(), timeout=60)
    for refused in (announced, streamed):
        assert refused.status_code == 413 and "limit is 1 MB" in refused.json()["error"]
    assert page.uploads.held == 0


def test_a_body_of_exactly_the_limit_is_read(page):
    assert "not a PNG" in send(page, "a.png", bytes(2**20)).json()["error"]


def test_an_announced_length_alone_is_enough_to_be_refused(page):
    address = httpx.URL(page.url)
    with socket.create_connection((address.host, address.port), timeout=30) as line:
        line.sendall(f"POST /recognize HTTP/1.1\r\nHost: localhost\r\nContent-Length: {10**15}\r\n\r\n".encode())
        assert line.recv(100).startswith(b"HTTP/1.1 413")


def test_people_who_send_the_same_picture_at_once_are_all_answered(page, example):
    data = example("two heads").read_bytes()
    with ThreadPoolExecutor(20) as people:
        answers = list(people.map(lambda _: send(page, "a.webp", data).json(), range(20)))
    assert all(answer["found"] == 2 for answer in answers)


def test_a_request_that_finds_the_queue_full_gets_an_error(bundle_folder):
    with serving(bundle_folder, replace(SETTINGS, at_once=1, waiting=1)) as server, ThreadPoolExecutor(12) as people:
        answers = list(people.map(lambda _: send(server, "a.png", NOISE), range(12)))
        assert {answer.status_code for answer in answers} == {200, 503}
        assert all("busy" in answer.json()["error"] for answer in answers if answer.status_code == 503)


def receiving(chunks: int, chunk: bytes, seconds: float = 0.0) -> Callable[[], Request]:
    """Requests whose bodies arrive in chunks, one every `seconds` seconds."""

    def make() -> Request:
        left = chunks

        async def receive() -> dict:
            nonlocal left
            await asyncio.sleep(seconds)
            left -= 1
            if left < 0:
                await asyncio.Event().wait()  # still connected, nothing more to say
            return {"type": "http.request", "body": chunk, "more_body": left > 0}

        return Request({"type": "http", "method": "POST", "headers": [], "path": "/", "query_string": b""}, receive)

    return make


def in_a_loop(run: Callable[[], Coroutine]) -> object:
    """The coroutine's result; run in a separate thread, because the browser's event loop runs in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(run())).result()


def test_uploads_are_received_in_pieces_and_forgotten_afterwards():
    async def run() -> None:
        uploads, make = Uploads(SETTINGS), receiving(3, b"abc")
        async with uploads.receive(make()) as data:
            assert data == b"abcabcabc" and (uploads.requests, uploads.held) == (1, 9)
        assert (uploads.requests, uploads.held) == (0, 0)

    in_a_loop(run)


def test_a_slow_upload_and_too_much_in_memory_are_refused():
    async def status(uploads: Uploads, request: Request) -> int:
        try:
            async with uploads.receive(request):
                return 200
        except Refused as error:
            return error.status

    async def run() -> None:
        slow = Uploads(SETTINGS, max_seconds=0.05)
        assert await status(slow, receiving(100, b"a", 0.01)()) == 408
        small = Uploads(SETTINGS, max_held=50)
        make = receiving(10, b"abc", 0.001)
        assert sorted(await asyncio.gather(*(status(small, make()) for _ in range(2)))) == [200, 503]
        assert await status(small, make()) == 200
        assert (slow.requests, slow.held, small.requests, small.held) == (0, 0, 0, 0)

    in_a_loop(run)


def test_no_more_pictures_are_processed_at_once_than_allowed():
    async def run() -> int:
        uploads, make, now, most = Uploads(replace(SETTINGS, at_once=2)), receiving(1, b"abc"), 0, 0

        async def one() -> None:
            nonlocal now, most
            async with uploads.receive(make()):
                now += 1
                most = max(most, now)
                await asyncio.sleep(0.01)
                now -= 1

        await asyncio.gather(*(one() for _ in range(9)))
        return most

    assert in_a_loop(run) == 2


def test_an_interrupted_upload_leaves_nothing(page):
    address = httpx.URL(page.url)
    with socket.create_connection((address.host, address.port)) as line:
        line.sendall(b"POST /recognize HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\n\r\n" + bytes(300_000))
        wait_until(lambda: page.uploads.held == 300_000)
    wait_until(lambda: page.uploads.held == page.uploads.requests == 0)
    assert "found" in send(page, "a.png", NOISE).json()


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


# Addresses, hosts, origins


def raw(server: Server, method: str, path: str, **headers: str) -> tuple[int, bytes, http.client.HTTPMessage]:
    """A request whose path and headers are sent as they are; httpx would normalize them."""
    address = httpx.URL(server.url)
    line = http.client.HTTPConnection(address.host, address.port, timeout=30)
    line.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        line.putheader(name.replace("_", "-"), value)
    line.endheaders()
    answer = line.getresponse()
    return answer.status, answer.read(), answer.headers


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static/..%5capp.py",
        "/static//etc/passwd",
        "/static/%00",
        "/examples/../templates/page.html",
        "/examples/....//app.py",
        "/static/",
        "/templates/page.html",
        "/etc/passwd",
        "/docs",
    ],
)
def test_only_static_files_and_examples_can_be_fetched(page, path):
    status, text, _ = raw(page, "GET", path)
    assert status == 404 and b"import" not in text and b"<html" not in text


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/recognize"), ("PUT", "/card"), ("POST", "/"), ("DELETE", "/static/page.js")]
)
def test_other_methods_are_refused(page, method, path):
    assert raw(page, method, path)[0] == 405


def test_static_files_have_their_types(page, example):
    types = {"static/page.js": "javascript", "static/style.css": "text/css", "static/icon.svg": "image/svg+xml"}
    types[f"examples/{example('one').name}"] = "image/webp"
    for path, kind in types.items():
        found = httpx.get(f"{page.url}{path}")
        assert found.status_code == 200 and kind in found.headers["content-type"]


@pytest.mark.parametrize(
    "host", ["example.com", "example.com:80", "localhost.example.com", "127.0.0.1.example.com", "a@localhost", ""]
)
def test_another_host_name_is_refused_on_loopback(page, host):
    for method, path in (("GET", "/"), ("POST", "/recognize")):
        status, text, _ = raw(page, method, path, Host=host)
        assert status == 400 and b"Crystal" not in text


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8080", "[::1]:7860"])
def test_names_of_this_machine_are_answered(page, host):
    assert raw(page, "GET", "/", Host=host)[0] == 200


def test_a_server_for_other_machines_answers_to_any_name():
    assert allowed_hosts("0.0.0.0", "0.0.0.0") == allowed_hosts("[::]", "::") == ["*"]
    assert "pc" in allowed_hosts("pc", "127.0.1.1") and "*" not in allowed_hosts("[::1]", "::1")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://example.com"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
    ],
    ids=str,
)
def test_a_post_for_another_site_is_refused(page, headers):
    for to in ("recognize", "card"):
        assert send(page, "a.png", NOISE, to=to, **headers).status_code == 403


@pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Site": "same-origin", "Origin": "https://proxy.example"}], ids=str)
def test_a_post_of_a_program_or_of_the_page_itself_is_answered(page, headers):
    assert send(page, "a.png", NOISE, **headers).status_code == 200
    assert send(page, "a.png", NOISE, Origin=page.url.rstrip("/")).status_code == 200


def test_every_response_carries_the_security_headers(page):
    responses = [raw(page, "GET", path)[2] for path in ("/", "/static/page.js", "/nothing")]
    responses += [raw(page, "GET", "/", Host="example.com")[2], raw(page, "PUT", "/")[2]]
    responses += [send(page, "a.png", b"", to=to).headers for to in ("card", "recognize")]
    responses += [send(page, "a.png", b"", Origin="null").headers]
    for headers in responses:
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in headers


# The process


@contextmanager
def watched() -> Iterator[tuple[list[str], list[str]]]:
    """The hosts other than this machine that this process looks up or connects to, and the files that it opens for writing."""
    hosts, files, on = [], [], [True]

    def listen(event: str, arguments: tuple) -> None:
        if not on:
            return
        if event in ("socket.connect", "socket.getaddrinfo"):
            host = arguments[1][0] if event == "socket.connect" and isinstance(arguments[1], tuple) else arguments[0]
            if isinstance(host, str) and host not in ("127.0.0.1", "::1", "localhost"):
                hosts.append(host)
        if event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and ".pyc" not in str(arguments[0]):
            files.append(str(arguments[0]))

    sys.addaudithook(listen)
    yield hosts, files
    on.clear()


def test_the_server_opens_no_connection_and_writes_no_file(bundle_folder, example, tmp_path):
    with watched() as (hosts, files):
        with serving(bundle_folder) as server:
            httpx.get(server.url)
            assert "found" in send(server, "a.webp", example("one head").read_bytes()).json()
            assert "error" in send(server, "a.webp", bytes(2**20)).json()
        assert (hosts, files) == ([], [])
        with suppress(OSError):  # that the watch works
            socket.create_connection(("203.0.113.1", 9), timeout=0.01).close()
        (tmp_path / "file").write_text("")
        assert hosts and files


def test_a_port_that_is_taken_is_named(bundle_folder, page):
    with pytest.raises(UserError, match=f"port {httpx.URL(page.url).port}"):
        Server(bundle_folder, replace(SETTINGS, port=httpx.URL(page.url).port))


def test_serve_prints_its_address_and_leaves_nothing_when_it_is_ended(bundle_folder, tmp_path):
    command = [sys.executable, "-m", "crystal_eyes.cli", "serve", "--bundle", str(bundle_folder), "--port", "0"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().split()[4]
        assert url.startswith("http://127.0.0.1:") and "Crystal Eyes" in httpx.get(url, timeout=30).text
        assert httpx.post(f"{url}recognize", content=NOISE, timeout=30).status_code == 200
        assert list(tmp_path.iterdir()) == []
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert list(tmp_path.iterdir()) == []
