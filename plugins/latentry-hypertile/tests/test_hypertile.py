"""Attention in tiles: really done on both layouts, and undone."""

import pytest
import torch

from latentry_hypertile import HyperTileOptions, register_optimizers, tile_attention
from latentry_hypertile.tiles import around, pieces
from latentry_sdk import DeviceSpec, Unavailable
from latentry_sdk.self_attention import transformers
from latentry_sdk.testing import OptimizerSuite
from latentry_sdk.testing.here import HERE_SPEC
from latentry_sdk.testing.parts import make_part

SPEC = register_optimizers()[0]


def here():
    return HERE_SPEC.open(HERE_SPEC.options())


def seen(module, arguments):
    """How many tokens the self-attention of each transformer gets."""
    counts: dict[int, list[int]] = {}
    for level, transformer in transformers(module):
        query = transformer.transformer_blocks[0].attn1.to_q
        query.register_forward_hook(
            lambda _, given, __, level=level: counts.setdefault(level, []).append(given[0].shape[1])
        )
    with torch.inference_mode():
        module(*arguments)
    return counts


@pytest.mark.parametrize(
    ("side", "least", "count"),
    [(64, 32, 2), (64, 16, 4), (64, 33, 1), (48, 10, 4), (7, 2, 1), (9, 2, 3), (8, 8, 1)],
)
def test_a_side_is_cut_into_as_many_equal_pieces_as_its_divisors_allow(side, least, count):
    assert pieces(side, least) == count
    assert side % count == 0


@pytest.mark.parametrize(("size", "least"), [((8, 8), 4), ((6, 10), 3), ((5, 7), 2), ((12, 4), 4)])
def test_each_tile_is_attended_to_alone(size, least):
    """Against cutting by slices: the mean of a tile's tokens in each place of it."""
    height, width = size
    tokens = torch.randn(2, height * width, 3)
    found = around(tokens, size, lambda x: x.mean(1, keepdim=True).expand_as(x), least=least)
    expected = tokens.reshape(2, height, width, 3).clone()
    down, across = height // pieces(height, least), width // pieces(width, least)
    for top in range(0, height, down):
        for start in range(0, width, across):
            tile = expected[:, top : top + down, start : start + across]
            tile.copy_(tile.mean((1, 2), keepdim=True).expand_as(tile))
    torch.testing.assert_close(found, expected.reshape(2, -1, 3))


@pytest.mark.parametrize("layout", ["sd", "sdxl"])
def test_attention_sees_a_quarter_of_the_tokens_on_both_layouts(layout):
    part, device = make_part(f"{layout}.unet"), here()
    arguments = part.arguments(1, (16, 16))
    component, undo = tile_attention(part.component, device, tile=8, levels=1)
    assert set(seen(component.module, arguments)[0]) == {64}
    undo()
    assert set(seen(make_part(f"{layout}.unet").component.module, arguments)[0]) == {256}


def test_the_result_changes_and_comes_back_to_the_last_bit():
    part, device = make_part("sdxl.unet"), here()
    arguments = part.arguments(2, (16, 12))
    with torch.inference_mode():
        before = part.component.module(*arguments)
        component, undo = tile_attention(part.component, device, tile=4, levels=1)
        placed = device.place(component, None)
        changed = placed(*arguments)
        undo()
        after = part.component.module(*arguments)
    assert 1e-5 < float((changed - before).norm() / before.norm()) < SPEC.error
    assert torch.equal(after, before)


def test_an_image_of_a_batch_equals_the_single_one():
    part = make_part("sd.unet")
    tile_attention(part.component, here(), tile=4, levels=1)
    x, time, text = part.arguments(2, (16, 12))
    with torch.inference_mode():
        both = part.component.module(x, time, text)
        one = part.component.module(x[1:], time, text[1:])
    torch.testing.assert_close(both[1:], one, rtol=1e-4, atol=1e-5)


def test_a_device_that_converts_and_a_part_without_attention_are_refused():
    with pytest.raises(Unavailable, match="its device converts it"):
        tile_attention(make_part("sd.unet").component, object(), tile=4, levels=1)
    with pytest.raises(Unavailable, match="no self-attention that hypertile could change"):
        tile_attention(make_part("sd.vae_decoder").component, here(), tile=4, levels=1)


class TestSuite(OptimizerSuite):
    """The kit's own questions."""

    options = HyperTileOptions(tile=4, levels=1).model_dump()

    def devices(self) -> "list[DeviceSpec]":
        return [HERE_SPEC]

    @pytest.fixture
    def spec(self):
        return SPEC
