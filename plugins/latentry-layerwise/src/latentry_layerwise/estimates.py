"""What components take whose weights are in another type than they compute in. Light: planning calls it."""

from latentry_sdk import Footprint, Work

BYTES = {"float8_e4m3fn": 1, "float16": 2, "bfloat16": 2}
LAYER = 0.6
"""Of the largest block, its largest layer, whose cast weights are there while it is called."""

ACTIVATIONS_AT_LAYER = 0.4
"""Of the activations' peak, what is held meanwhile."""

FLOAT32 = 4


def layerwise(footprint: Footprint, work: Work, *, storage: str) -> Footprint:
    """Nearly all weights take the storage's bytes; a call takes one layer's beside its activations."""
    share = min(BYTES[storage] / work.bytes, 1)
    cast = LAYER * footprint.largest if share < 1 else 0
    passing = max(footprint.passing, cast + ACTIVATIONS_AT_LAYER * footprint.passing)
    return Footprint(round(footprint.kept * share), round(passing), round(footprint.largest * share))


def upcast(footprint: Footprint, work: Work, *, always: bool) -> Footprint:  # noqa: ARG001
    """Everything in float32: it may come to that."""
    factor = max(FLOAT32 / work.bytes, 1)
    kept, passing, largest = footprint.kept, footprint.passing, footprint.largest
    return Footprint(round(kept * factor), round(passing * factor), round(largest * factor))
