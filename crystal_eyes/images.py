"""Pictures: safe decoding, and the one preprocessing that training and serving share."""

import io
import warnings

import numpy as np
from PIL import ExifTags, Image

# Only formats that are needed here: decoders of others (FITS, GD, PSD, EPS...) are attack surface.
FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".avif", ".gif", ".bmp"})
MAX_PIXELS = 64_000_000
WHITE = (255, 255, 255)
TURNS = {  # by EXIF orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
WITH_ORIENTATION = ("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp")  # of Image.info

Image.MAX_IMAGE_PIXELS = MAX_PIXELS
# Between one and two times the limit Pillow only warns; open_picture raises there itself.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


class PictureError(Exception):
    """A picture that can't be used. The message states the reason in a few words, without the file's name."""


def open_picture(data: bytes) -> Image.Image:
    """The first frame of an encoded picture, upright, 8 bits per channel, mode RGB or RGBA.

    Raises PictureError: empty, not a picture, damaged or incomplete, no pixels, or more than MAX_PIXELS pixels.
    """
    if not data:
        raise PictureError("empty file")
    try:
        picture = Image.open(io.BytesIO(data), formats=FORMATS)
        require_usable(picture.width, picture.height)
        picture.load()
        return upright(picture)
    except Image.DecompressionBombError:
        raise PictureError(f"too large: more than {MAX_PIXELS} pixels") from None
    except Image.UnidentifiedImageError:
        if _begins_like_a_picture(data):
            raise PictureError("damaged: its header is incomplete or can't be read") from None
        raise PictureError("not a PNG, JPEG, WebP, AVIF, GIF or BMP picture") from None
    except PictureError:
        raise
    except MemoryError:
        raise PictureError("too large for the memory of this machine") from None
    except Exception as error:  # decoders raise OSError, SyntaxError, struct.error, ValueError... on damaged files
        raise PictureError(f"damaged: {error}") from None


def _begins_like_a_picture(data: bytes) -> bool:
    """Whether the first bytes are those of one of FORMATS."""
    return any(accepts is not None and accepts(data[:16]) for _, accepts in map(Image.OPEN.__getitem__, FORMATS))


def require_usable(width: int, height: int) -> None:
    """Raise PictureError if a picture of this size has no pixels, or more than MAX_PIXELS."""
    if width * height > MAX_PIXELS:
        raise PictureError(f"too large: {width} x {height} pixels")
    if not width * height:
        raise PictureError(f"no pixels: {width} x {height}")


def upright(picture: Image.Image) -> Image.Image:
    """A picture of any mode, rotated by its EXIF data, 8 bits per channel, mode RGB, or RGBA if it has transparency."""
    turn = TURNS.get(orientation(picture))
    if turn is not None:  # each step only where needed: pictures are large
        picture = picture.transpose(turn)
        picture.info = {name: value for name, value in picture.info.items() if name not in WITH_ORIENTATION}
    if picture.mode.startswith("I"):  # 16 bits a channel: Pillow's own conversion would clip instead of scale
        values = np.asarray(picture).astype(np.float64)
        picture = Image.fromarray((values / 257).round().clip(0, 255).astype(np.uint8))
    mode = "RGBA" if picture.has_transparency_data else "RGB"
    return picture if picture.mode == mode else picture.convert(mode)


def orientation(picture: Image.Image) -> int:
    """From 1, upright, to 8, as EXIF numbers them; 1 if the picture has no EXIF data that can be read."""
    try:
        return int(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except (
        Exception
    ):  # viewers show pictures with damaged EXIF data too; Pillow raises SyntaxError, struct.error, ValueError...
        return 1


def flatten(picture: Image.Image, background: tuple[int, int, int] = WHITE) -> Image.Image:
    """The picture in RGB; transparent parts show the background color."""
    if picture.mode == "RGB":
        return picture
    base = Image.new("RGBA", picture.size, (*background, 255))
    return Image.alpha_composite(base, picture).convert("RGB")


def fit(picture: Image.Image, size: int) -> np.ndarray:
    """uint8 RGB [size, size, 3]: a head as the encoder sees it. The aspect ratio is not kept (heads are nearly square).

    Bicubic with antialiasing. Training resizes with this same kernel: a different one costs 2-3 points of MAP@R.
    """
    return np.array(flatten(picture).resize((size, size), Image.Resampling.BICUBIC))


def load_head(data: bytes, size: int) -> np.ndarray:
    """uint8 RGB [size, size, 3] of one encoded head picture. Raises PictureError."""
    return fit(open_picture(data), size)
