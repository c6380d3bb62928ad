"""A job with tiling fits where it would not without it, and gives nearly the same picture."""

from functools import partial
from typing import Any

import numpy as np
import pytest

from latentry_sdk import OutOfMemory

OPTIONS = {"vae-tiling": {"tile": 32, "halo": 8}}
ASKED = {"side": 128, "steps": 1, "guidance": 1.0, "place": {"*": "cpu", "vae_decoder": "fake"}}


def test_a_large_picture_fits_in_pieces(run: Any) -> None:
    plain, tiling = run(**ASKED), partial(run, "vae-tiling", "vae-slicing", options=OPTIONS, **ASKED)
    tiled = tiling()
    assert tiled.peak < 0.7 * plain.peak
    limit = (tiled.peak + plain.peak) // 2
    with pytest.raises(OutOfMemory):
        run(size=limit, **ASKED)
    fitted = tiling(size=limit)
    assert fitted.pixels == tiled.pixels
    ours, theirs = (np.frombuffer(each.pixels, np.uint8).astype(float) for each in (fitted, plain))
    assert 0 < np.abs(ours - theirs).mean() < 4, "in steps of 1/255; the weights are random"
