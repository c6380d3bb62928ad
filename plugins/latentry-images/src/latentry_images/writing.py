"""Encode pictures with both records inside."""

import io
from typing import TYPE_CHECKING

from latentry_images.metadata import document, parameters_text, seed_of
from latentry_sdk import Artifact, InvalidRequest, Job, UnknownName
from latentry_sdk.records import (
    DOCUMENT,
    EXIF_IFD,
    IMAGE_DESCRIPTION,
    OWN_SEGMENT,
    PARAMETERS,
    UNICODE,
    USER_COMMENT,
)

if TYPE_CHECKING:
    from PIL.Image import Exif, Image
    from PIL.PngImagePlugin import PngInfo

OWN_MARKER = b"\xff\xe9"  # APP9
SEGMENT = 65_000
"""Bytes put into one segment of a JPEG, which ends at 65,533."""

ROOM = 7_500
"""Characters of each prompt that surely fit into one segment."""

MAX_SIDE = {"jpeg": 65_500, "webp": 16_383}
MAX_PIXELS = 1 << 28
FORMATS = ("jpeg", "png", "webp")


def encode(image: "Image", job: Job, index: int, quality: int) -> Artifact:
    """The picture as a file of the plan's format."""
    form, text = job.plan.format, parameters_text(job, index, image.size)
    if form == "jpeg" and len(UNICODE + text.encode("utf-16-be")) > SEGMENT:
        text = parameters_text(job, index, image.size, room=ROOM)
        job.warn("JPEG has no room for so long a prompt: other programs will read its beginning only")
    data = as_bytes(image, form, (text, document(job, index)), quality)
    return Artifact(data, f"image/{form}", seed_of(job, index))


def as_bytes(image: "Image", form: str, records: tuple[str, str], quality: int) -> bytes:
    """The picture as png, jpeg or webp, with the records (parameters, document)."""
    if form not in FORMATS:
        raise UnknownName("format", form, FORMATS)
    if max(image.size) > MAX_SIDE.get(form, MAX_PIXELS):
        raise InvalidRequest(f"{form} pictures end at {MAX_SIDE[form]} pixels", fix="choose png")
    file = io.BytesIO()
    if form == "png":
        image.save(file, "PNG", pnginfo=_chunks(*records))
    elif form == "jpeg":
        exif, own = _exif(records[0]), _segments(records[1].encode())
        image.convert("RGB").save(file, "JPEG", quality=quality, exif=exif, extra=own)
    else:
        image.save(file, "WEBP", quality=quality, exif=_exif(*records))
    return file.getvalue()


def _chunks(parameters: str, whole: str) -> "PngInfo":
    from PIL.PngImagePlugin import PngInfo

    chunks = PngInfo()
    chunks.add_text(PARAMETERS, parameters)  # as iTXt where Latin-1 does not do
    chunks.add_itxt(DOCUMENT, whole)
    return chunks


def _exif(parameters: str, whole: str | None = None) -> "Exif":
    from PIL import Image

    exif = Image.Exif()
    exif.get_ifd(EXIF_IFD)[USER_COMMENT] = UNICODE + parameters.encode("utf-16-be")
    if whole is not None:
        exif[IMAGE_DESCRIPTION] = whole
    return exif


def _segments(whole: bytes) -> bytes:
    """JPEG segments of our own, as many as are needed."""
    parts = [OWN_SEGMENT + whole[start : start + SEGMENT] for start in range(0, len(whole), SEGMENT)]
    return b"".join(OWN_MARKER + (len(part) + 2).to_bytes(2, "big") + part for part in parts)
