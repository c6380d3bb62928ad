"""A job's inputs as plain values: paths, bytes, and PIL images by their pixels."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentry_sdk import InvalidInput

if TYPE_CHECKING:
    from PIL.Image import Image


def input_values(inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Each input as text, bytes or a picture's parts; `InvalidInput` for what is none of these."""
    return {name: _values(name, given) for name, given in inputs.items()}


def inputs_of(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The inputs again."""
    return {name: _picture(value) if isinstance(value, dict) else value for name, value in values.items()}


def _values(name: str, given: Any) -> Any:
    if given is None or isinstance(given, str | bytes):
        return given
    if isinstance(given, Path):
        return str(given)
    if isinstance(given, bytearray | memoryview):
        return bytes(given)
    if type(given).__module__.partition(".")[0] == "PIL":
        return _parts(given)
    raise InvalidInput(f"{name} is a {type(given).__name__}", fix="give a path, bytes or a PIL image")


def _parts(image: "Image") -> Mapping[str, Any]:
    """Pixels, palette, and what of the picture's information changes how it is seen."""
    palette = None
    if image.palette is not None:
        mode = image.palette.mode
        palette = {"mode": mode, "values": bytes(image.getpalette(mode) or ())}
    info = {name: value for name, value in image.info.items() if name in ("transparency", "exif")}
    pixels = {"mode": image.mode, "size": image.size, "pixels": image.tobytes()}
    return {**pixels, "palette": palette, "info": info}


def _picture(parts: Mapping[str, Any]) -> "Image":
    from PIL import Image

    image = Image.frombytes(parts["mode"], tuple(parts["size"]), parts["pixels"])
    if parts["palette"]:
        image.putpalette(parts["palette"]["values"], parts["palette"]["mode"])
    seen = parts["info"].get("transparency")
    image.info = {**parts["info"]} | ({"transparency": tuple(seen)} if isinstance(seen, list) else {})
    return image
