"""The page: Gradio over the recogniser. Nothing that is uploaded stays on disk, nothing is fetched from or told to others."""

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# read when gradio is imported: no call home
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"

import gradio as gr  # noqa: E402
from PIL import Image  # noqa: E402

from crystal_eyes.errors import UserError  # noqa: E402
from crystal_eyes.page import cards  # noqa: E402
from crystal_eyes.pictures import PictureError, flatten, open_picture  # noqa: E402
from crystal_eyes.recognizer import Head, Recognizer  # noqa: E402

EXAMPLES = sorted((Path(__file__).parent / "examples").glob("*.webp"))
STYLE = Path(__file__).with_name("style.css")
CREDITS = (
    "Examples are remixes of DiceBear styles after art by Lisa Wischofsky (Adventurer, CC BY 4.0; Lorelei, CC0 1.0) and "
    "The Visual Team (Face Generator, CC BY 4.0)."
)


@dataclass(frozen=True)
class Limits:
    """What the page takes from whoever comes. A picture's pixels are limited by crystal_eyes.pictures.MAX_PIXELS."""

    megabytes: int = 50  # of one file
    pictures: int = 20  # at once
    heads: int = 100  # shown of one picture
    workers: int = max(1, (os.cpu_count() or 1))  # requests answered side by side
    waiting: int = 60  # requests in the queue
    seconds: int = 300  # that an upload nobody asks about may lie


class Page:
    """What the page does, without its looks."""

    def __init__(self, recognizer: Recognizer, limits: Limits):
        self.recognizer, self.limits = recognizer, limits

    def heads(self, data: bytes) -> tuple[Image.Image, list[Head], int]:
        """The picture (RGB), its surest heads, and how many were found. Raises PictureError."""
        picture = flatten(open_picture(data))
        found = self.recognizer.find(picture)
        return picture, self.recognizer.name_heads(found[: self.limits.heads]), len(found)

    def html(self, files: Sequence[tuple[str, bytes]]) -> str:
        """Answers to pictures (name, encoded bytes), or for each the sentence why not."""
        parts = []
        for name, data in files[: self.limits.pictures]:
            try:
                parts.append(cards.answer(name, *self.heads(data)))
            except PictureError as error:
                parts.append(cards.problem(name, f"This file can't be answered: {error}."))
        if len(files) > self.limits.pictures:
            parts.append(cards.problem("Too many pictures", f"The first {self.limits.pictures} were answered, give fewer."))
        return "".join(parts)

    def json(self, files: Sequence[tuple[str, bytes]]) -> list[dict]:
        """For each picture {"picture", "heads"} or {"picture", "error"}."""
        out = []
        for name, data in files[: self.limits.pictures]:
            try:
                _, heads, found = self.heads(data)
                out.append({"picture": name, "found": found, "heads": [head.as_dict() for head in heads]})
            except PictureError as error:
                out.append({"picture": name, "error": str(error)})
        return out


def taken(paths: Sequence[str] | None) -> list[tuple[str, bytes]]:
    """(name, bytes) of uploaded files, which are deleted, with the folders that gradio made for them."""
    files = []
    for path in map(Path, paths or ()):
        try:
            files.append((path.name, path.read_bytes()))
        except OSError:  # two requests named the same upload
            files.append((path.name, b""))
        path.unlink(missing_ok=True)
        if path.parent != uploads():
            shutil.rmtree(path.parent, ignore_errors=True)
    return files


def build(recognizer: Recognizer, limits: Limits) -> gr.Blocks:
    """The page, not yet served."""
    page = Page(recognizer, limits)
    gr.set_static_paths(EXAMPLES)
    with gr.Blocks(title="Crystal Eyes", analytics_enabled=False) as blocks:
        count = len(recognizer.naming.characters)
        gr.Markdown(f"# Crystal Eyes\nWho is it? Give pictures of drawn characters: each head is looked up among {count:,}.")
        given = gr.Gallery(
            label="Drop, paste or photograph pictures", sources=["upload", "clipboard", "webcam"], type="filepath",
            file_types=["image"], height=230, elem_id="given",
        )  # fmt: skip
        examples = gr.Gallery(
            [str(path) for path in EXAMPLES], label="Examples: click one", columns=4, height=170, object_fit="contain",
            allow_preview=False, interactive=False, elem_id="examples", buttons=[],
        )  # fmt: skip
        gr.Markdown(CREDITS, elem_id="credits")
        answers = gr.HTML(elem_id="answers")

        def answer(pictures: list[tuple[str, str | None]] | None) -> tuple[None, str]:
            return None, page.html(taken([path for path, _ in pictures or ()]))

        def example(event: gr.SelectData) -> str:
            path = EXAMPLES[event.index]
            return page.html([(path.stem, path.read_bytes())])

        given.upload(answer, given, [given, answers], api_visibility="private")
        examples.select(example, None, answers, api_visibility="private")

        # the page's own API, for programs
        files, found = gr.File(file_count="multiple", visible=False), gr.JSON(visible=False)
        gr.Button(visible=False).click(lambda paths: page.json(taken(paths)), files, found, api_name="recognize")
    return blocks.queue(max_size=limits.waiting, default_concurrency_limit=limits.workers)


def uploads() -> Path:
    return Path(os.environ["GRADIO_TEMP_DIR"])


def sweep(limits: Limits, stopped: threading.Event) -> None:
    """Delete uploads that nobody asked about: a person who leaves, a program that never calls."""
    while not stopped.wait(min(30, limits.seconds)):
        for path in uploads().rglob("*"):
            try:
                if path.is_file() and time.time() - path.stat().st_mtime > limits.seconds:
                    path.unlink()
                elif path.is_dir() and not any(path.iterdir()) and time.time() - path.stat().st_mtime > limits.seconds:
                    path.rmdir()
            except OSError:  # gone in the meantime
                continue


def serve(recognizer: Recognizer, *, host: str = "127.0.0.1", port: int = 7860, limits: Limits = Limits()) -> None:
    """Serve the page until Ctrl-C. Raises UserError where the port is taken."""
    stopped = threading.Event()
    with tempfile.TemporaryDirectory(prefix="crystal-eyes-page-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        threading.Thread(target=sweep, args=(limits, stopped), daemon=True).start()
        blocks = build(recognizer, limits)
        try:
            blocks.launch(
                server_name=host, server_port=port, share=False, quiet=True, ssr_mode=False, show_error=True,
                max_file_size=f"{limits.megabytes}mb", css_paths=[STYLE], theme=theme(), footer_links=["api"],
                enable_monitoring=False, run_history=False, prevent_thread_lock=True,
            )  # fmt: skip
        except OSError as error:
            raise UserError(f"nothing can be served at {host}:{port} ({error}): choose another --port") from None
        print(f"Crystal Eyes is at http://{host}:{port} (Ctrl-C stops it)", flush=True)
        try:
            blocks.block_thread()
        finally:
            stopped.set()
            blocks.close()


def theme() -> gr.themes.Base:
    # fonts of the machine: gradio's own are fetched from elsewhere
    return gr.themes.Soft(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
