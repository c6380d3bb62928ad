"""What offloaded components take on their device. Light: planning calls it.

Blocks come for their own call, and are not largest where activations are: in UNets and VAEs the widest layers
work on the smallest pictures. The shares below are those of Stable Diffusion 1 and XL at full size, where
estimates are within 15 % of what `tests/benchmarks/offload_shapes.py` counts.
"""

from latentry_sdk import Footprint, Work

ALIKE = ("text_encoder",)
"""Components whose blocks are all alike, so that activations peak in each."""

NEXT = 0.8
"""Of the largest block, the one that comes after it; where blocks are alike, it is as large."""

BLOCK_AT_PEAK = 0.1
"""Of the blocks on the device, what is there while activations peak."""

ACTIVATIONS_AT_BLOCK = 0.4
"""Of the activations' peak, what is held while the largest block is called."""

LAYER, LAYER_ALIKE = 0.6, 0.28
"""Of the largest block, its largest layer: the first convolution of a residual block, half of an MLP."""

ACTIVATIONS_ALIKE = 0.8
"""Of the activations' peak in blocks that are alike, what is held while that layer is called."""


def whole(footprint: Footprint, _work: Work) -> Footprint:
    """All weights come for the calls and make room for the next component."""
    return Footprint(0, footprint.kept + footprint.passing, footprint.largest)


def blocks(footprint: Footprint, work: Work, *, keep: int, ahead: int = 1) -> Footprint:
    """`keep` bytes stay, and of the rest there are `ahead` + 1 blocks at a time."""
    alike = is_alike(work)
    moved = round(footprint.largest * (1 + ahead * (1 if alike else NEXT)))
    return _moving(footprint, keep, moved, 1.0 if alike else ACTIVATIONS_AT_BLOCK)


def layers(footprint: Footprint, work: Work, *, keep: int) -> Footprint:
    """`keep` bytes stay, and of the rest there is one layer at a time."""
    if is_alike(work):
        return _moving(footprint, keep, round(footprint.largest * LAYER_ALIKE), ACTIVATIONS_ALIKE)
    return _moving(footprint, keep, round(footprint.largest * LAYER), ACTIVATIONS_AT_BLOCK)


def is_alike(work: Work) -> bool:
    """Whether the component's blocks are all alike."""
    return work.part.startswith(ALIKE)


def _moving(footprint: Footprint, keep: int, at_once: int, held: float) -> Footprint:
    """`at_once` bytes of the weights that do not stay are there, with `held` of the activations' peak."""
    kept, passing = min(keep, footprint.kept), footprint.passing
    rest = footprint.kept - kept
    moved = min(at_once, rest) if footprint.largest else rest
    peak = max(passing + BLOCK_AT_PEAK * moved, moved + held * passing)
    return Footprint(kept, round(peak), footprint.largest)
