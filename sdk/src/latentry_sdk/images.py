"""The images of a batch one by one, for samplers that choose each image's noise levels by itself.

The first axis of an array counts images, as in torch and numpy. A number is one image.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Any, Protocol, runtime_checkable

from latentry.types import Denoise, X


@runtime_checkable
class Separable(Protocol):
    """A denoiser that can be asked for one image without the others of its batch."""

    def alone(self, index: int) -> Denoise[Any]:
        """The denoiser of a batch that has only the image `index` of this one's."""


def images_of(batch: X) -> list[X]:
    """Each image of `batch`, as a batch of one."""
    whole: Any = batch
    return [whole[i : i + 1] for i in range(len(whole))] if hasattr(whole, "__len__") else [whole]


def joined(images: Sequence[X]) -> X:
    """The batch of these batches; all are torch tensors, or all numpy arrays, where there are several."""
    first, *others = images
    if not others:
        return first
    library = import_module(type(first).__module__.partition(".")[0])
    batch: X = library.concatenate([*images])
    return batch


def alone(denoise: Denoise[X], index: int, batch: X) -> Denoise[X]:
    """The denoiser for the image `index` of `batch` alone.

    One that is `Separable` says it. Any other is shown the whole batch, whose further images stay as they
    are, and so takes as long as for all of them.
    """
    if isinstance(denoise, Separable):
        return denoise.alone(index)
    images = images_of(batch)
    if len(images) == 1:
        return denoise

    def seen(x: X, sigma: float) -> X:
        return images_of(denoise(joined([*images[:index], x, *images[index + 1 :]]), sigma))[index]

    return seen
