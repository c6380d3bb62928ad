"""Encode pictures with both records inside, and read the records back."""

import io
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from latentry_images.metadata import document, parameters_text
from latentry_sdk import Artifact, ImageReady, Job

USER_COMMENT, IMAGE_DESCRIPTION, EXIF_IFD = 0x9286, 0x010E, 0x8769
UNICODE = b"UNICODE\x00"


def encode(image: Image.Image, job: Job, index: int, quality: int) -> Artifact:
    """The picture as a file of the plan's format; tells of it with `ImageReady`."""
    records = parameters_text(job, index, image.size), document(job, index)
    form = job.plan.format
    data = as_bytes(image, form, records, quality)
    job.notify(ImageReady(job.id, index, job.plan.seeds[index]))
    return Artifact(data, f"image/{form}", job.plan.seeds[index])


def as_bytes(image: Image.Image, form: str, records: tuple[str, str], quality: int) -> bytes:
    """The picture as png, jpeg or webp, with the records (parameters, document)."""
    file = io.BytesIO()
    if form == "png":
        image.save(file, "PNG", pnginfo=_chunks(records))
    else:
        picture = image.convert("RGB") if form == "jpeg" else image
        picture.save(file, form.upper(), quality=quality, exif=_exif(records))
    return file.getvalue()


def read_back(data: bytes) -> tuple[str | None, str | None]:
    """The two records of a picture, `None` for each that is not there."""
    image = Image.open(io.BytesIO(data))
    if image.format == "PNG":
        return image.info.get("parameters"), image.info.get("latentry")
    exif = image.getexif()
    comment: Any = exif.get_ifd(EXIF_IFD).get(USER_COMMENT, b"")
    text = comment.removeprefix(UNICODE).decode("utf-16-be") if comment else None
    return text, exif.get(IMAGE_DESCRIPTION)


def _chunks(records: tuple[str, str]) -> PngInfo:
    chunks = PngInfo()
    parameters, whole = records
    if parameters.isascii():
        chunks.add_text("parameters", parameters)
    else:
        chunks.add_itxt("parameters", parameters)
    chunks.add_text("latentry", whole)
    return chunks


def _exif(records: tuple[str, str]) -> Image.Exif:
    exif = Image.Exif()
    exif.get_ifd(EXIF_IFD)[USER_COMMENT] = UNICODE + records[0].encode("utf-16-be")
    exif[IMAGE_DESCRIPTION] = records[1]
    return exif
