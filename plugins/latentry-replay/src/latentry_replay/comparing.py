"""Compare two records, and two pictures bit for bit."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from latentry_replay.record import Model, Record
from latentry_sdk.opening import decoding, opened

if TYPE_CHECKING:
    from PIL.Image import Image

Size = tuple[int, int]


@dataclass(frozen=True)
class Difference:
    """Something that is one way in the record and another way here; None where it is not at all."""

    what: str
    recorded: Any
    here: Any


@dataclass(frozen=True)
class PixelDifference:
    """Pixels that differ in any channel, of how many, and by how much at most: 0 to 255.

    `sizes` are those of both pictures where they differ; no pixel is then compared.
    """

    differing: int
    total: int
    largest: int
    sizes: tuple[Size, Size] | None = None

    @property
    def equal(self) -> bool:
        """Whether the pictures are the same, bit for bit."""
        return not self.differing and self.sizes is None


def differences(recorded: Record, here: Record) -> Iterator[Difference]:
    """What differs between the record of a picture and that of its replay."""
    for what, before, now in _pairs(recorded, here):
        if before != now:
            yield Difference(what, before, now)


def pixel_difference(recorded: bytes, here: bytes, max_pixels: int) -> PixelDifference:
    """How the pixels of two picture files differ, alpha included."""
    from PIL import ImageChops

    before, now = _pixels(recorded, "the picture", max_pixels), _pixels(here, "the replay", max_pixels)
    if before.size != now.size:
        return PixelDifference(0, 0, 0, (before.size, now.size))
    first, *others = ImageChops.difference(before, now).split()
    for other in others:
        first = ImageChops.lighter(first, other)
    counts = first.histogram()
    largest = max(value for value, count in enumerate(counts) if count)
    return PixelDifference(sum(counts[1:]), sum(counts), largest)


def _pairs(recorded: Record, here: Record) -> Iterator[tuple[str, Any, Any]]:
    before, now = recorded.applied, here.applied
    yield "latentry", recorded.latentry, here.latentry
    yield "model", before.model.name, now.model.name
    yield "model hash", before.model.sha256, now.model.sha256
    yield from _by_name("model of", _hashes(before.further_models), _hashes(now.further_models))
    yield from _by_name("plugin", before.plugins, now.plugins)
    yield from _by_name("library", before.libraries, now.libraries)
    yield from _by_name("device of", before.placements, now.placements)
    yield from _by_name("dtype of", before.dtypes, now.dtypes)
    yield from _options(recorded.options, here.options)
    yield from _by_name("input", recorded.inputs, here.inputs)
    yield from zip(("prompt", "negative"), recorded.prompts, here.prompts, strict=True)


def _hashes(models: Mapping[str, Model]) -> Mapping[str, str]:
    return {name: model.sha256 or model.name for name, model in models.items()}


def _by_name(what: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for name in sorted(before.keys() | now.keys()):
        yield f"{what} {name}", before.get(name), now.get(name)


def _options(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Option by option; as a whole where their owner is missing on one side."""
    for owner in sorted(before.keys() | now.keys()):
        if owner in before and owner in now:
            yield from _by_name(f"option {owner}", before[owner], now[owner])
        else:
            yield f"options of {owner}", before.get(owner), now.get(owner)


def _pixels(data: bytes, name: str, max_pixels: int) -> "Image":
    with decoding(name):
        return opened(data, name, max_pixels).convert("RGBA")
