"""Re-encodes an untrusted JPEG, PNG or WebP upload as a JPEG or PNG without metadata. Does not use the database."""

import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from django.core.files.uploadedfile import UploadedFile
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from PIL import Image, ImageOps

MAX_BYTES = 10 * 1024 * 1024
MAX_PIXELS = 50_000_000
MAX_SIDE = 4096
MIN_SIDE = 256
JPEG_QUALITY = 92
SUFFIXES = {"image/jpeg": ".jpg", "image/png": ".png"}

_FORMATS = ("JPEG", "PNG", "WEBP")

MESSAGES: Mapping[str, str | Promise] = {
    "empty": _("The file is empty. Please choose another one."),
    "too_large": _("The file is larger than 10 MB. Please choose a smaller one."),
    "format": _("Only JPEG, PNG and WebP images can be used. Please choose another file."),
    "broken": _("The image cannot be opened; it may be damaged. Please choose another one."),
    "too_many_pixels": _("The image has more than 50 million pixels. Please make it smaller."),
    "too_small": _("The image is smaller than 256 pixels on one side. Please choose a larger one."),
    "quota": _("You have many images that no video uses yet. Use some of them, or wait a week until they are removed."),
}


class ImageRefused(Exception):
    """The upload is refused. `code` is a key of MESSAGES; `str()` of the error is the message for the user."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code

    def __str__(self) -> str:
        return str(MESSAGES[self.code])


@dataclass(frozen=True, kw_only=True)
class EncodedImage:
    """An image file that we encoded ourselves."""

    content: bytes
    mime_type: str
    width: int
    height: int

    @property
    def suffix(self) -> str:
        return SUFFIXES[self.mime_type]


def reencode(upload: "UploadedFile[bytes]") -> EncodedImage:
    """Decode an image and encode it again: upright, at most 4096 pixels per side, no other data. Raises ImageRefused."""
    content = _read(upload)
    _check_size(content)
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as opened:
            opened.verify()  # checks checksums and makes the image unusable, so it is opened again
        with Image.open(io.BytesIO(content), formats=_FORMATS) as opened:
            if opened.width * opened.height > MAX_PIXELS:  # a later header in the file may claim another size
                raise ImageRefused("too_many_pixels")
            opened.draft("RGB", (MAX_SIDE, MAX_SIDE))
            image = _to_eight_bits(ImageOps.exif_transpose(opened))
            has_alpha = image.has_transparency_data
            image = image.convert("RGBA" if has_alpha else "RGB")
    except Image.DecompressionBombError as error:
        raise ImageRefused("too_many_pixels") from error
    except (OSError, SyntaxError, ValueError, EOFError, KeyError, IndexError, struct.error, MemoryError) as error:
        raise ImageRefused("broken") from error
    if has_alpha and image.getchannel("A").getextrema() == (255, 255):
        image, has_alpha = image.convert("RGB"), False
    image.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    if min(image.size) < MIN_SIDE:
        raise ImageRefused("too_small")
    return _encode(image, has_alpha=has_alpha)


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Scale 16-bit grey values down; a plain conversion would turn most of them white."""
    if image.mode.startswith("I"):
        return image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    return image


def _read(upload: "UploadedFile[bytes]") -> bytes:
    if (upload.size or 0) > MAX_BYTES:
        raise ImageRefused("too_large")
    upload.seek(0)
    content: bytes = upload.read(MAX_BYTES + 1)
    if not content:
        raise ImageRefused("empty")
    if len(content) > MAX_BYTES:
        raise ImageRefused("too_large")
    return content


def _check_size(content: bytes) -> None:
    """Check the size in the header before a decoder allocates memory: a tiny file may claim billions of pixels."""
    try:
        width, height = _claimed_size(content)
    except (struct.error, IndexError, ValueError) as error:
        raise ImageRefused("broken") from error
    if width * height > MAX_PIXELS:
        raise ImageRefused("too_many_pixels")


def _claimed_size(content: bytes) -> tuple[int, int]:
    """Width and height from the file's header. Raises ImageRefused for other formats, ValueError, struct.error."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        width, height = struct.unpack(">II", content[16:24])
        return width, height
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return _webp_size(content)
    if content.startswith(b"\xff\xd8\xff"):
        return _jpeg_size(content)
    raise ImageRefused("format")


def _webp_size(content: bytes) -> tuple[int, int]:
    kind = content[12:16]
    if kind == b"VP8X":
        return int.from_bytes(content[24:27], "little") + 1, int.from_bytes(content[27:30], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(content[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", content[26:30])
        return width & 0x3FFF, height & 0x3FFF
    raise ValueError("unknown kind of WebP")


def _jpeg_size(content: bytes) -> tuple[int, int]:
    """Width and height from the first frame header of a JPEG, which follows other segments."""
    offset = 2
    while True:
        while content[offset] == 0xFF and content[offset + 1] == 0xFF:  # fill bytes
            offset += 1
        if content[offset] != 0xFF:
            raise ValueError("a marker is missing")
        marker = content[offset + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", content[offset + 5 : offset + 9])
            return width, height
        (length,) = struct.unpack(">H", content[offset + 2 : offset + 4])
        offset += 2 + length


def _encode(image: Image.Image, *, has_alpha: bool) -> EncodedImage:
    output = io.BytesIO()
    # Copy only the pixels, because some encoders also write the metadata that the decoder has read.
    copy = Image.new(image.mode, image.size)
    copy.paste(image)
    if has_alpha:
        copy.save(output, "PNG", optimize=False)
    else:
        copy.save(output, "JPEG", quality=JPEG_QUALITY)
    return EncodedImage(
        content=output.getvalue(),
        mime_type="image/png" if has_alpha else "image/jpeg",
        width=copy.width,
        height=copy.height,
    )
