"""What is done with a single picture: its record is read; nothing here enlarges or describes it."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from latentry_api_a1111 import infotext
from latentry_api_a1111.failing import NotHere
from latentry_api_a1111.png import texts
from latentry_api_a1111.replies import PARAMETERS
from latentry_api_a1111.routes.making import Anyone, Reader, router
from latentry_sdk.sources import from_base64


class Picture(BaseModel):
    """A picture in base64, with what else a client sends along."""

    model_config = ConfigDict(extra="allow")

    image: str


class PngInfo(BaseModel):
    """The record as text and by its settings; `items` are the other texts of the file."""

    info: str
    items: dict[str, str]
    parameters: dict[str, str]


def routes() -> APIRouter:
    """png-info, and what is not here."""
    here = router()

    @here.post("/png-info")
    def png_info(sent: Picture, _caller: Reader) -> PngInfo:
        """What a PNG says of how it was made."""
        found = dict(texts(from_base64(sent.image, "image"), "image"))
        text = found.get(PARAMETERS, "")
        return PngInfo(info=text, items=found, parameters=dict(infotext.read(text)) if text else {})

    @here.post("/interrogate")
    def interrogate(_caller: Anyone) -> None:
        """Not here."""
        raise NotHere("no plugin that is installed describes pictures")

    @here.post("/extra-single-image")
    def extra_single_image(_caller: Anyone) -> None:
        """Not here."""
        raise _no_enlarging()

    @here.post("/extra-batch-images")
    def extra_batch_images(_caller: Anyone) -> None:
        """Not here."""
        raise _no_enlarging()

    return here


def _no_enlarging() -> NotHere:
    return NotHere("no plugin that is installed enlarges pictures", fix="use enable_hr of txt2img")
