"""Self-attention of fewer tokens, by merging and by tiles: really done on both layouts, and undone."""

from functools import partial

import pytest
import torch

from latentry_hypertile import register_optimizers as hypertile
from latentry_hypertile import tile_attention
from latentry_sdk import Unavailable
from latentry_sdk.self_attention import transformers
from latentry_sdk.testing.here import HERE_SPEC
from latentry_sdk.testing.parts import make_part
from latentry_tome import merge_tokens
from latentry_tome import register_optimizers as tome

(HYPERTILE,), (TOME,) = hypertile(), tome()
COARSE = partial(tile_attention, tile=8, levels=1)
FINE = partial(tile_attention, tile=4, levels=1)
HALF = partial(merge_tokens, ratio=0.5, levels=1)
EACH = pytest.mark.parametrize(
    ("spec", "apply"), [(HYPERTILE, FINE), (TOME, HALF)], ids=["hypertile", "tome"]
)


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


@pytest.mark.parametrize(("apply", "count"), [(COARSE, 64), (HALF, 128)], ids=["hypertile", "tome"])
@pytest.mark.parametrize("layout", ["sd", "sdxl"])
def test_attention_sees_fewer_tokens_on_both_layouts(layout, apply, count):
    part, device = make_part(f"{layout}.unet"), here()
    arguments = part.arguments(1, (16, 16))
    component, undo = apply(part.component, device)
    assert set(seen(component.module, arguments)[0]) == {count}
    undo()
    assert set(seen(make_part(f"{layout}.unet").component.module, arguments)[0]) == {256}


@EACH
def test_the_result_changes_and_comes_back_to_the_last_bit(spec, apply):
    part, device = make_part("sdxl.unet"), here()
    arguments = part.arguments(2, (16, 12))
    with torch.inference_mode():
        before = part.component.module(*arguments)
        component, undo = apply(part.component, device)
        placed = device.place(component, None)
        changed = placed(*arguments)
        undo()
        after = part.component.module(*arguments)
    assert 1e-5 < float((changed - before).norm() / before.norm()) < spec.error
    assert torch.equal(after, before)


@EACH
def test_an_image_of_a_batch_equals_the_single_one(spec, apply):
    part = make_part("sd.unet")
    apply(part.component, here())
    x, time, text = part.arguments(2, (16, 12))
    with torch.inference_mode():
        both = part.component.module(x, time, text)
        one = part.component.module(x[1:], time, text[1:])
    torch.testing.assert_close(both[1:], one, rtol=1e-4, atol=1e-5)


@EACH
def test_a_device_that_converts_and_a_part_without_attention_are_refused(spec, apply):
    with pytest.raises(Unavailable, match="its device converts it"):
        apply(make_part("sd.unet").component, object())
    with pytest.raises(Unavailable, match=f"no self-attention that {spec.name} could change"):
        apply(make_part("sd.vae_decoder").component, here())
