"""Jobs with attention in parts, or weights in 8 bits, fit where they would not; the picture is near."""

from typing import Any

import numpy as np
import pytest

from latentry_sdk import OutOfMemory

OFFLOAD = "text_encoder=model-offload", "text_encoder_2=model-offload"
CASES = {
    "attention-slicing": ({"attention-slicing": {"megabytes": 1}}, {"fused": False, "side": 96}, 1),
    "layerwise-casting": ({}, {}, 6),
}


@pytest.mark.parametrize("name", CASES)
def test_a_job_fits_where_it_would_not(run: Any, name: str) -> None:
    options, asked, most = CASES[name]
    plain = run(*OFFLOAD, steps=1, **asked)
    smaller = run(*OFFLOAD, name, steps=1, options=options, **asked)
    assert smaller.peak < 0.95 * plain.peak
    limit = (smaller.peak + plain.peak) // 2
    with pytest.raises(OutOfMemory):
        run(*OFFLOAD, steps=1, size=limit, **asked)
    fitted = run(*OFFLOAD, name, steps=1, size=limit, options=options, **asked)
    assert fitted.pixels == smaller.pixels
    ours, theirs = (np.frombuffer(each.pixels, np.uint8).astype(float) for each in (fitted, plain))
    assert np.abs(ours - theirs).mean() < most, "in steps of 1/255; the weights are random"


def test_a_vae_computes_in_float32_beside_a_unet_in_half(run: Any) -> None:
    upcast = run("vae-upcast", "layerwise-casting", "unet=group-offload", dtype="float16", steps=1,
                 options={"vae-upcast": {"always": True}})  # fmt: skip
    assert upcast.peak > 0
    assert "vae_decoder=vae-upcast" in upcast.applied["optimizers"]
