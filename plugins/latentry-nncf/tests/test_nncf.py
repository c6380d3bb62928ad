"""Weights in NNCF's 8 and 4 bits, in torch and in OpenVINO."""

import pytest
import torch

from latentry_nncf import SCHEMES, quantize, register_quantizers
from latentry_nncf.codecs import codec
from latentry_sdk.quantizing import size_of
from latentry_sdk.testing import QuantizerSuite
from latentry_sdk.testing.closeness import relative
from latentry_sdk.testing.parts import make_part

SPEC = register_quantizers()[0]


@pytest.mark.parametrize("layer", [torch.nn.Linear(256, 48), torch.nn.Conv2d(32, 48, 3)], ids=str)
@pytest.mark.parametrize(("scheme", "levels"), [("int8", 255), ("int4", 15)])
def test_a_weight_is_off_by_half_a_step_at_most_and_as_nncf_rounds_it(layer, scheme, levels):
    weight, found = layer.weight.detach(), codec(scheme)
    kept = found.pack(weight)
    unpacked = found.unpack(kept, weight.shape, torch.float32)
    scales = kept["weight.scale"]
    steps = (
        scales.expand(*scales.shape[:2], weight[0].numel() // scales.shape[1]) if scheme == "int4" else scales
    )
    assert (
        (unpacked - weight).abs()
        <= steps.reshape(-1, *weight.shape[1:] if scheme == "int4" else steps.shape[1:]) * 0.51
    ).all()
    grouped = weight.reshape(len(weight), scales.shape[1], -1) if scheme == "int4" else weight.flatten(1)
    spread = grouped.amax(-1).clamp(min=0) - grouped.amin(-1).clamp(max=0)
    torch.testing.assert_close(scales.flatten(), spread.flatten() / levels, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_openvino_gives_the_same_numbers_and_keeps_the_weights_packed(scheme, tmp_path):
    engine = pytest.importorskip("latentry_openvino.engine")
    from latentry_openvino import open_openvino

    part = make_part("sd.unet")
    found = quantize(part.component, scheme)
    placed = open_openvino(engine.CpuOptions(cache=tmp_path, threads=1)).place(found, None)
    for batch, size in ((2, (8, 8)), (1, (9, 8))):
        given = part.arguments(batch, size)
        with torch.inference_mode():
            assert relative(placed(*given), found.module(*given)) < 1e-4
    stored = sum(file.stat().st_size for file in tmp_path.rglob("model.bin"))
    assert stored < 1.1 * size_of(found.module)


class TestSuite(QuantizerSuite):
    """The kit's own questions."""

    @pytest.fixture
    def spec(self):
        return SPEC
