"""What programs and ill-meaning people send to the served page: each gets an answer or a sentence, and nothing stays."""

import io
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from PIL import Image

from crystal_eyes.errors import UserError
from crystal_eyes.web.app import Server
from tests.browser.conftest import SETTINGS, ask, lying, send, serving, upload
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
HOSTILE = {
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


def test_recognize_answers_as_json_with_gradio_client(page, example):
    client = Client(page.url, verbose=False)
    paths = [example("three"), example("line")]
    three, line = client.predict([handle_file(path) for path in paths], api_name="/recognize")
    assert [three["picture"], line["picture"]] == [path.name for path in paths]
    assert three["found"] == 3 and len(three["heads"]) == SETTINGS.most_heads
    assert line["heads"][0]["monochrome"] and len(line["heads"][0]["candidates"]) == 5 and line["heads"][0]["sentence"]
    assert lying(page) == []


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_usable_picture_gets_a_sentence(page, name):
    data, says = HOSTILE[name]
    (answer,) = send(page, (name, data))
    assert answer["picture"] == name and says in answer["error"]
    assert lying(page) == []


def test_a_mislabelled_picture_is_answered_and_one_without_a_head_too(page, example):
    grey = encoded(Image.new("L", (500, 200), 128), "GIF")
    named, empty = send(page, ("a.pdf", example("one head").read_bytes()), ("b.png", grey))
    assert named["found"] == 1 and empty == {"picture": "b.png", "found": 0, "heads": []}


def test_a_file_over_the_limit_is_refused_with_a_sentence(page):
    for size in (2**20 + 1, 50_000_000):
        refused = upload(page, ("big.png", bytes(size)))
        assert refused.status_code == 413 and "1 MB at most" in refused.text
    assert lying(page) == []


def test_pictures_over_the_number_are_left_out_and_deleted(page):
    answers = send(page, *[("a.png", NOISE)] * (SETTINGS.most_pictures + 2))
    assert [("error" in answer) for answer in answers] == [False] * SETTINGS.most_pictures + [True] * 2
    assert lying(page) == []
    assert upload(page, *[("a.png", b"a")] * 101).status_code == 400
    assert lying(page) == []


def test_people_who_send_the_same_picture_at_once_are_all_answered(page, example):
    data = example("two heads").read_bytes()
    with ThreadPoolExecutor(20) as people:
        answers = list(people.map(lambda _: send(page, ("a.webp", data), ("no.png", b"no")), range(20)))
    assert all(good["found"] == 2 and "not a PNG" in bad["error"] for good, bad in answers)
    assert lying(page) == []


def test_who_finds_the_queue_full_is_told_so(recognizer):
    with serving(recognizer, replace(SETTINGS, at_once=1, waiting=1)) as server:
        paths = [upload(server, ("a.png", NOISE)).json()[0] for _ in range(12)]
        address = f"{server.url}gradio_api/call/recognize"
        body = [{"data": [[{"path": path, "meta": {"_type": "gradio.FileData"}}]]} for path in paths]
        with ThreadPoolExecutor(12) as people:
            answers = list(people.map(lambda one: httpx.post(address, json=one, timeout=60), body))
        codes = {answer.status_code for answer in answers}
        assert codes == {200, 503}
        assert all("full" in answer.text for answer in answers if answer.status_code == 503)
        server.uploads.sweep(seconds=-1)
        assert lying(server) == []


def test_only_what_was_uploaded_here_can_be_asked_about(page, tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(NOISE)
    elsewhere = [str(secret), "/etc/passwd", "https://example.com/a.png", f"{page.uploads.folder}/../../{secret.name}", ""]
    for start in range(0, len(elsewhere), SETTINGS.most_pictures):
        answers = ask(page, [{"path": path} for path in elsewhere[start : start + SETTINGS.most_pictures]])
        assert all("it was not sent to this page" in answer["error"] for answer in answers)
    assert secret.read_bytes() == NOISE and lying(page) == []
    path = upload(page, ("a.png", NOISE)).json()[0]
    assert "found" in ask(page, [{"path": path}])[0] and "waited too long" in ask(page, [{"path": path}])[0]["error"]
    assert ask(page, []) == [{"error": "No picture came along."}]


@pytest.mark.parametrize(
    "path",
    [
        "file=https://example.com/",
        "file=/etc/passwd",
        "proxy=https://a.hf.space/",
        "deep_link?session_hash=a",
        "runs",
        "nothing",
    ],
)
def test_addresses_that_the_page_does_not_need_are_closed(page, path):
    assert httpx.get(f"{page.url}gradio_api/{path}").status_code == 404
    assert httpx.get(f"{page.url}monitoring/summary").status_code == 404
    for closed in ("process_recording", "component_server", "run/recognize", "api/recognize"):
        assert httpx.post(f"{page.url}gradio_api/{closed}", json={"data": [[]]}).status_code == 404


def test_questions_without_a_length_or_of_great_length_are_refused(page):
    address = f"{page.url}gradio_api/call/recognize"
    assert httpx.post(address, content=iter([b"{}"])).status_code == 411
    assert httpx.post(address, content=bytes(2_000_000)).status_code == 413


def test_an_upload_that_breaks_off_leaves_nothing(page):
    address = httpx.URL(page.url)
    with socket.create_connection((address.host, address.port)) as line:
        line.sendall(b"POST /gradio_api/upload HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=x\r\n")
        line.sendall(b"Content-Length: 900000\r\n\r\n--x\r\nContent-Disposition: form-data; name=files; filename=a\r\n\r\n")
        line.sendall(bytes(300_000))
    time.sleep(0.3)
    assert lying(page) == [] and "found" in send(page, ("a.png", NOISE))[0]


def test_what_nobody_asks_about_is_swept(page):
    path = upload(page, ("a.png", NOISE)).json()[0]
    page.uploads.sweep()
    assert [str(one) for one in lying(page)] == [path]
    os.utime(path, (time.time() - 700,) * 2)
    page.uploads.sweep()
    assert lying(page) == []


def test_of_the_answers_at_most_one_is_kept_in_memory(page):
    client = [Client(page.url, verbose=False) for _ in range(3)]
    for one in client:
        one.predict([], api_name="/recognize")
    assert len(page.blocks.state_holder.session_data) == 1


@contextmanager
def listened():
    """The addresses other than this machine that anything in this process looks up or connects to."""
    heard, on = [], [True]

    def listen(event: str, arguments: tuple) -> None:
        if on and event in ("socket.connect", "socket.getaddrinfo"):
            host = arguments[1][0] if event == "socket.connect" and isinstance(arguments[1], tuple) else arguments[0]
            if isinstance(host, str) and host not in ("127.0.0.1", "::1", "localhost"):
                heard.append(host)

    sys.addaudithook(listen)
    yield heard
    on.clear()


def test_the_server_talks_to_nobody(recognizer, example):
    with listened() as heard:
        with serving(recognizer) as server:
            httpx.get(server.url)
            assert "found" in send(server, ("a.webp", example("one head").read_bytes()))[0]
            assert (
                "not sent"
                in ask(server, [{"path": "https://example.com/a.png", "url": "https://example.com/a.png"}])[0]["error"]
            )
        assert heard == []
        with suppress(OSError):  # that the ear works
            socket.create_connection(("203.0.113.1", 9), timeout=0.01).close()
        assert heard


def test_the_folder_goes_with_the_server(recognizer):
    with serving(recognizer) as server:
        upload(server, ("a.png", NOISE))
        assert len(lying(server)) == 1
    assert not server.uploads.folder.exists()


def test_a_port_that_is_taken_is_named(recognizer, page):
    with pytest.raises(UserError, match=f"port {httpx.URL(page.url).port}"):
        Server(recognizer, replace(SETTINGS, port=httpx.URL(page.url).port))


def test_serve_says_where_and_leaves_nothing_when_it_is_ended(bundle_folder, tmp_path):
    code = (
        "from crystal_eyes.web.app import serve; from crystal_eyes.web.settings import Settings;"
        f"from crystal_eyes.recognizer import Recognizer; serve(Recognizer.load({str(bundle_folder)!r}), Settings(port=0))"
    )
    ours = ("GRADIO_", "HF_", "ORT_")  # set by the page in this process
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)} | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        url = process.stdout.readline().split()[4]
        assert "Crystal Eyes" in httpx.get(url, timeout=30).text
        assert httpx.post(f"{url}gradio_api/upload", files={"files": NOISE}).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert list(tmp_path.iterdir()) == []
