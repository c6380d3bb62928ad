"""What tiled and sliced VAEs take in passing. Light: planning calls it.

The shares are of the VAE of Stable Diffusion 1 and XL, as `tests/benchmarks/tiling_shapes.py` counts them.
"""

from latentry_sdk import Footprint, Work

WHOLE = {"vae_decoder": 0.013, "vae_encoder": 0.005}
"""Of the activations of a whole picture, what its pieces are cut from and put into."""

MIDDLE = {"vae_decoder": 0.084, "vae_encoder": 0.104}
"""Of the same, what the middle takes, which works on the whole picture at its smallest."""

RESULTS = 0.005
"""Of the activations of one picture, its result."""


def tiled(footprint: Footprint, work: Work, *, tile: int, halo: int) -> Footprint:  # noqa: ARG001
    """Activations of one piece, and a little for the whole picture, unless that is no larger than a piece."""
    width, height = work.size
    if max(work.size) <= tile or work.part not in WHOLE:
        return sliced(footprint, work)
    share = min(tile, width) * min(tile, height) / (width * height)
    one = footprint.passing / max(work.count, 1)
    passing = one * max(MIDDLE[work.part], share + WHOLE[work.part])
    return Footprint(footprint.kept, min(round(passing), footprint.passing), footprint.largest)


def sliced(footprint: Footprint, work: Work) -> Footprint:
    """Activations of one picture, and the results of all."""
    if work.count <= 1:
        return footprint
    share = 1 / work.count + RESULTS
    return Footprint(
        footprint.kept, min(round(footprint.passing * share), footprint.passing), footprint.largest
    )
