"""The page as gradio blocks: where pictures come in, and what is done with them."""

from collections.abc import Mapping, Sequence
from functools import partial

import gradio as gr

from crystal_eyes.recognizer import Recognizer
from crystal_eyes.web.answers import Answer, answer
from crystal_eyes.web.cards import page_of
from crystal_eyes.web.front import EXAMPLES, FOLDER, help_text, hero, title, ways
from crystal_eyes.web.memory import give_back
from crystal_eyes.web.settings import Settings
from crystal_eyes.web.uploads import Uploads

NAME_LENGTH = 80
LOOK = "() => document.querySelector('.ce-answers')?.scrollIntoView({behavior: 'smooth', block: 'start'})"
NOTHING = [{"error": "No picture came along."}]


def build(recognizer: Recognizer, settings: Settings, uploads: Uploads) -> gr.Blocks:
    """The page. Its endpoint `recognize` takes uploaded pictures and gives a list: for each {"picture", "found", "heads"} or
    {"picture", "error"}.
    """

    def look_at(files: Sequence[Mapping]) -> list[Answer]:
        """Answers to the first few; all files are gone afterwards."""
        answers = []
        for number, file in enumerate(files, 1):
            name = str(file.get("orig_name") or f"Picture {number}")[:NAME_LENGTH]
            read = partial(uploads.take, file)
            if number > settings.most_pictures:
                uploads.discard(file)
            else:
                answers.append(answer(recognizer, name, read, settings.most_heads))
                give_back()
        return answers

    def show(files: Sequence[Mapping]) -> tuple[None, str]:
        return None, page_of(look_at(files), max(0, len(files) - settings.most_pictures))

    def show_example(event: gr.EventData) -> str:
        path = EXAMPLES[int(event.example) % len(EXAMPLES)]
        return page_of([answer(recognizer, title(path), path.read_bytes, settings.most_heads)])

    def recognize(files: Sequence[Mapping]) -> list[dict]:
        """Uploaded pictures to, for each, its named heads or why it can't be used."""
        left_over = [{"error": f"At most {settings.most_pictures} pictures at once."}]
        return [one.as_dict() for one in look_at(files)] + left_over * max(0, len(files) - settings.most_pictures) or NOTHING

    with gr.Blocks(title="Crystal Eyes", analytics_enabled=False, fill_width=True) as blocks:
        gr.HTML(hero(recognizer), js_on_load=None)
        pictures = gr.File(file_count="multiple", label="Pictures", show_label=False, elem_id="ce-pictures", height=170)
        _take_files_as_they_are(pictures)
        other_ways = gr.HTML(ways(), js_on_load=(FOLDER / "page.js").read_text("utf-8"))
        answers = gr.HTML(min_height=60, js_on_load=None)
        with gr.Accordion("What this says, and what not", open=False, elem_id="ce-help"):
            gr.Markdown(help_text(settings))
        # one queue for all: `at_once` holds whichever way a picture comes
        limits = {"concurrency_limit": settings.at_once, "concurrency_id": "pictures"}
        asked = [
            pictures.upload(show, pictures, [pictures, answers], api_visibility="private", show_progress_on=answers, **limits),
            other_ways.click(show_example, None, answers, api_visibility="private", **limits),
        ]
        for event in asked:  # on a phone the answers begin below what is seen
            event.then(None, js=LOOK, api_visibility="private")
        # who was sent away (the queue is full) finds the drop zone empty again
        asked[0].failure(None, None, pictures, js="() => null", api_visibility="private")
        endpoint, data = gr.Button(visible=False), gr.JSON(visible=False)
        endpoint.click(recognize, pictures, data, api_name="recognize", **limits)
    blocks.queue(max_size=settings.waiting, api_open=False)
    # gradio keeps each session's last answer with the picture in it, by default of 10,000 sessions
    blocks.state_session_capacity = 1
    return blocks


def _take_files_as_they_are(component: gr.File) -> None:
    """Hand what the browser says of its files to our functions as it is; `Uploads.take` checks it.

    By itself gradio opens any path of this machine and fetches any URL that a request names (a mounted page never has
    has_launched set, on which its check of paths hangs), and leaves an empty file for each. Set on the object, since gradio
    writes a .pyi beside the source of each subclass.
    """

    async def as_it_is(path: str) -> str:
        return path

    component.async_move_resource_to_block_cache = as_it_is
    component.preprocess = lambda payload: [file.model_dump() for file in payload or []]
