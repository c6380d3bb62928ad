"""Token merging: as tomesd does it, really done on both layouts, and undone."""

import pytest
import torch

from latentry_sdk import DeviceSpec, Unavailable
from latentry_sdk.self_attention import transformers
from latentry_sdk.testing import OptimizerSuite
from latentry_sdk.testing.here import HERE_SPEC
from latentry_sdk.testing.parts import make_part
from latentry_tome import TomeOptions, merge_tokens, register_optimizers
from latentry_tome.merging import around

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


@pytest.mark.parametrize("size", [(8, 8), (6, 10)])
@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.75])
def test_tokens_are_merged_and_handed_back_as_tomesd_does_it(size, ratio):
    tomesd = pytest.importorskip("tomesd.merge")
    tokens = torch.randn(2, size[0] * size[1], 12)
    count = int(tokens.shape[1] * ratio)
    theirs, back = tomesd.bipartite_soft_matching_random2d(
        tokens, size[1], size[0], 2, 2, count, no_rand=True
    )

    def attend(x):
        return torch.softmax(x @ x.mT, dim=-1) @ x.tanh()

    found = around(tokens, size, attend, ratio=ratio)
    torch.testing.assert_close(found, back(attend(theirs(tokens))))


def test_nothing_is_merged_at_a_ratio_of_nothing():
    tokens = torch.randn(1, 16, 4)
    assert torch.equal(around(tokens, (4, 4), lambda x: x * 2, ratio=0), tokens * 2)


@pytest.mark.parametrize("size", [(5, 7), (1, 9), (9, 2)])
def test_odd_sizes_keep_every_tokens_place(size):
    """Attention that gives back what it gets changes merged tokens alone."""
    tokens = torch.randn(2, size[0] * size[1], 8)
    found = around(tokens, size, lambda x: x, ratio=0.5)
    assert found.shape == tokens.shape
    same = (found == tokens).all(-1).float().mean()
    assert same >= 0.2 or size[0] == 1


@pytest.mark.parametrize("layout", ["sd", "sdxl"])
def test_attention_sees_half_of_the_tokens_on_both_layouts(layout):
    part, device = make_part(f"{layout}.unet"), here()
    arguments = part.arguments(1, (16, 16))
    component, undo = merge_tokens(part.component, device, ratio=0.5, levels=1)
    assert set(seen(component.module, arguments)[0]) == {128}
    undo()
    assert set(seen(make_part(f"{layout}.unet").component.module, arguments)[0]) == {256}


def test_the_result_changes_and_comes_back_to_the_last_bit():
    part, device = make_part("sdxl.unet"), here()
    arguments = part.arguments(2, (16, 12))
    with torch.inference_mode():
        before = part.component.module(*arguments)
        component, undo = merge_tokens(part.component, device, ratio=0.5, levels=1)
        placed = device.place(component, None)
        changed = placed(*arguments)
        undo()
        after = part.component.module(*arguments)
    assert 1e-5 < float((changed - before).norm() / before.norm()) < SPEC.error
    assert torch.equal(after, before)


def test_an_image_of_a_batch_equals_the_single_one():
    part = make_part("sd.unet")
    merge_tokens(part.component, here(), ratio=0.5, levels=1)
    x, time, text = part.arguments(2, (16, 12))
    with torch.inference_mode():
        both = part.component.module(x, time, text)
        one = part.component.module(x[1:], time, text[1:])
    torch.testing.assert_close(both[1:], one, rtol=1e-4, atol=1e-5)


def test_a_device_that_converts_and_a_part_without_attention_are_refused():
    with pytest.raises(Unavailable, match="its device converts it"):
        merge_tokens(make_part("sd.unet").component, object(), ratio=0.5, levels=1)
    with pytest.raises(Unavailable, match="no self-attention that tome could change"):
        merge_tokens(make_part("sd.vae_decoder").component, here(), ratio=0.5, levels=1)


class TestSuite(OptimizerSuite):
    """The kit's own questions."""

    options = TomeOptions().model_dump()

    def devices(self) -> "list[DeviceSpec]":
        return [HERE_SPEC]

    @pytest.fixture
    def spec(self):
        return SPEC
