"""A UNet in 8 bits, weights and activations, draws what it is told: another picture of the same thing."""

import numpy as np
import pytest
import torch

from latentry import Host, Request
from latentry_emoji.evaluation import benchmark_scenes, score
from latentry_emoji.evaluation.hosting import draw_captions
from latentry_nncf import quantize
from latentry_openvino import CpuOptions, open_openvino
from latentry_sdk.testing.parts import make_part


@pytest.mark.slow
def test_openvino_draws_in_8_bits_what_the_captions_say(tmp_path_factory):
    cache = tmp_path_factory.mktemp("rounded")
    scenes = benchmark_scenes(8, pair_share=0, seed=1)
    captions = [scene.caption for scene in scenes]

    def pictures(host, **options):
        request = Request(
            task="txt2img", model="emoji", steps=12, guidance=4.0, seed=1, place={"*": "openvino"},
            options={"openvino": {"cache": str(cache), **options}},
        )  # fmt: skip
        return draw_captions(host, request, captions)

    with Host() as host:
        plain, rounded = pictures(host), pictures(host, int8="unet")
    assert score(plain, scenes).recall_1 == score(rounded, scenes).recall_1 == 1
    pairs = zip(plain, rounded, strict=True)
    apart = [np.abs(np.asarray(one, float) - np.asarray(other, float)).mean() for one, other in pairs]
    assert min(apart) > 0.01, apart


def test_weights_that_nncf_has_quantized_are_rounded_too(tmp_path):
    part = make_part("sd.unet")
    device = open_openvino(CpuOptions(cache=tmp_path, threads=1, int8="unet"))
    placed, given = device.place(quantize(part.component, "int8"), None), part.arguments(2, (8, 8))
    with torch.no_grad():
        wanted = make_part("sd.unet").component.module(*given)
    assert 1e-3 < float((placed(*given) - wanted).norm() / wanted.norm()) < 0.15
