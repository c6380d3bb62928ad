"""Pictures of a job under way, small or ready, as events that any surface can show."""

from dataclasses import dataclass, field

from latentry.events import Event


@dataclass(frozen=True)
class ImageReady(Event):
    """Image number `index` of the job is made; its first is 0."""

    index: int
    seed: int


@dataclass(frozen=True)
class Preview:
    """How image number `index` of the job looks now: `data` is a whole file of `width` × `height` pixels."""

    index: int
    width: int
    height: int
    data: bytes = field(repr=False)
    media_type: str = "image/jpeg"


@dataclass(frozen=True)
class Previewed(Event):
    """What the model takes for the clean pictures at sampling step `step` of `steps`.

    One for each image of the batch; a sampler that solves one image after the other shows that one.
    """

    step: int
    steps: int
    images: tuple[Preview, ...]
