"""Weights in NNCF's 8 and 4 bits, in torch and in OpenVINO."""

from dataclasses import replace

import pytest
import torch

from latentry_nncf import SCHEMES, quantize, register_quantizers
from latentry_nncf.codecs import codec
from latentry_sdk import Host, Request, UnknownName
from latentry_sdk.quantizing import packed_layers, size_of, unfilled
from latentry_sdk.testing.parts import PARTS, make_part

SPEC = register_quantizers()[0]


def distance(found, expected):
    found, expected = (x[0] if isinstance(x, tuple) else x for x in (found, expected))
    return float((found - expected).norm() / expected.norm())


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
            assert distance(placed(*given), found.module(*given)) < 1e-4
    stored = sum(file.stat().st_size for file in tmp_path.rglob("model.bin"))
    assert stored < 1.1 * size_of(found.module)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", PARTS)
def test_each_component_stays_within_the_declared_error(name, scheme):
    part = make_part(name)
    found = quantize(part.component, scheme)
    given = part.arguments(1, (8, 8))
    with torch.inference_mode():
        assert 1e-4 < distance(found.module(*given), part.component.module(*given)) < SPEC.errors[scheme]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_declared_bits_are_what_a_weight_takes(scheme):
    layer = torch.nn.Linear(1280, 640, bias=False)
    kept = codec(scheme).pack(layer.weight.detach())
    taken = 8 * sum(tensor.nbytes for tensor in kept.values()) / layer.weight.numel()
    assert taken == pytest.approx(SPEC.bits[scheme], rel=0.03)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_stored_component_is_the_same_again(scheme):
    part = make_part("sdxl.unet")
    first = quantize(part.component, scheme)
    stored = first.module.state_dict()
    empty = unfilled(part.component.module, stored)
    again = quantize(replace(part.component, module=empty, stored=lambda: stored), scheme)
    assert size_of(again.module) == size_of(first.module)
    given = part.arguments(1, (8, 8))
    with torch.inference_mode():
        assert torch.equal(again.module(*given), first.module(*given))


def test_a_stored_weight_of_another_shape_is_refused():
    for scheme, wrong in (("int8", (48, 255)), ("int4", (48, 300))):
        kept = codec(scheme).pack(torch.randn(48, 256))
        with pytest.raises(ValueError, match="shape"):
            codec(scheme).adopt(kept, wrong)


def test_a_host_draws_with_it_and_says_so():
    asked = Request(task="txt2img", prompt="a red apple", steps=2, seed=1, quantize={"unet": "nncf:int8"})
    with Host() as host:
        result = host.run(asked)
        assert result.applied["quantizers"] == {"unet": "nncf:int8"}
        with pytest.raises(UnknownName, match="unknown scheme of nncf 'int3'"):
            host.plan(asked.model_copy(update={"quantize": {"unet": "nncf:int3"}}))


def test_a_cast_leaves_the_packed_numbers_alone():
    part = make_part("sd.unet")
    found = quantize(part.component, "int8").module.to(torch.bfloat16)
    assert {layer.kept()["weight.data"].dtype for _, layer in packed_layers(found)} == {torch.uint8}
