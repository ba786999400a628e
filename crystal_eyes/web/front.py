"""What stands on the page before anything is asked."""

import base64
import io
from html import escape
from pathlib import Path

from PIL import Image

from crystal_eyes.recognizer import Recognizer
from crystal_eyes.web.settings import Settings

FOLDER = Path(__file__).parent
EXAMPLES = sorted((FOLDER / "examples").iterdir())
TILE = 168  # pixels of an example's height, twice what it is shown at
CREDITS = """The examples are remixes of <a href="https://www.figma.com/community/file/1184595184137881796">Adventurer</a>
(<a href="https://creativecommons.org/licenses/by/4.0/">CC BY 4.0</a>) and
<a href="https://www.figma.com/community/file/1198749693280469639">Lorelei</a>
(<a href="https://creativecommons.org/publicdomain/zero/1.0/">CC0 1.0</a>) by Lisa Wischofsky, drawn with DiceBear."""
HELP = """
- **Bars** say how likely each character is if it is one of this catalogue. The pictures below are its most similar heads.
- **In the catalogue**: hardly any head of a character from outside comes so close. **Not in the catalogue**: hardly any head of
  its characters looks so unlike the others. **Not certain**: anything between.
- The answer speaks of this catalogue alone. It is no legal statement, neither that a drawing is original nor that it is a copy.
- Pictures are deleted as soon as they are looked at, and leave this server for nowhere.
- PNG, JPEG, WebP, GIF (first frame) and BMP, up to {limit} MB and {most} at once.
"""


def hero(recognizer: Recognizer) -> str:
    """The heading, and how many this catalogue knows."""
    names = recognizer.naming.characters
    series = len({series for _, series in names if series})
    of = f" of {series:,} series" if series > 1 else ""
    return (
        '<div class="ce-hero"><h1>Crystal Eyes</h1><p>Who is this? Drawn heads are found in your pictures and named, '
        f"out of a catalogue of {len(names):,} characters{of}.</p></div>"
    )


def ways() -> str:
    """The other ways to bring a picture: clipboard, camera, examples. page.js makes them work."""
    examples = "".join(
        f'<button type="button" data-example="{number}" title="{escape(title(path))}">'
        f'<img src="{_tile(path)}" alt="Example: {escape(title(path))}"></button>'
        for number, path in enumerate(EXAMPLES)
    )
    return f"""<div class="ce-ways"><div class="ce-row"><button type="button" data-act="paste">Paste</button>
<button type="button" data-act="camera">Take a photo</button><span class="ce-said" role="status"></span>
<input class="ce-snapshot" type="file" accept="image/*" capture="environment" hidden></div>
<div class="ce-live" hidden><video playsinline autoplay muted></video>
<button type="button" data-act="shoot">Take it</button> <button type="button" data-act="stop">Close the camera</button></div>
<h3 class="ce-label">Or try one of these</h3><div class="ce-examples">{examples}</div>
<p class="ce-credits">{CREDITS}</p></div>"""


def help_text(settings: Settings) -> str:
    """Markdown."""
    return HELP.format(limit=settings.max_upload_mb, most=settings.most_pictures)


def title(path: Path) -> str:
    """Of an example; the number before it only orders the files."""
    return path.stem.split(maxsplit=1)[1]


def _tile(path: Path) -> str:
    out = io.BytesIO()
    with Image.open(path) as picture:
        picture.thumbnail((2 * TILE, TILE))
        picture.save(out, "WEBP", quality=80)
    return f"data:image/webp;base64,{base64.b64encode(out.getvalue()).decode()}"
