"""Pieces fit together: near the untiled picture, nearer than diffusers' own, and without seams."""

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL

from latentry_sdk import Component, Footprint, Unavailable, Work
from latentry_sdk.testing.parts import make_part
from latentry_tiling import TilingOptions, register_optimizers
from latentry_tiling.estimates import sliced, tiled
from latentry_tiling.tiles import spans

EMOJI = Path(__file__).parents[2] / "latentry-emoji" / "src" / "latentry_emoji" / "model" / "emoji64"
SPECS = {spec.name: spec for spec in register_optimizers()}
SIDE, TILE, HALO = 256, 128, 32


@pytest.fixture(scope="module")
def vae():
    """A trained one, of three levels."""
    return AutoencoderKL.from_pretrained(EMOJI, subfolder="vae").eval().requires_grad_(False)


@pytest.fixture(scope="module")
def pixels():
    """Smooth colours, and a disc with an edge."""
    across = torch.linspace(-1, 1, SIDE)
    y, x = torch.meshgrid(across, across, indexing="ij")
    waves = torch.stack([torch.sin(6 * x + 3 * y * y), torch.cos(5 * y - 2 * x), torch.sin(9 * x * y)])
    disc = (x**2 + y**2 < 0.3).float()
    colour = torch.tensor([1.0, 0.6, -0.8])[:, None, None]
    return (waves * (1 - disc) + disc * colour)[None].clamp(-1, 1)


def component(name, module):
    return Component(name, "torch", module, tuple, lambda: "digest")


def apply(name, module, call, **options):
    """What a module gives with tiling, whose undo follows."""
    options = {"tile": TILE, "halo": HALO, **options}
    changed, undo = SPECS["vae-tiling"].apply(component(name, module), None, **options)
    with torch.inference_mode():
        found = call(changed.module)
    undo()
    return found


def off(found, wanted):
    return float((found - wanted).norm() / wanted.norm())


def test_a_trained_vae_is_off_by_little_and_by_less_than_with_diffusers_own(vae, pixels):
    with torch.inference_mode():
        latents = vae.encode(pixels).latent_dist.mode()
        wanted = vae.decode(latents).sample
    ours = apply("vae_decoder", vae.decoder, lambda _: vae.decode(latents).sample)
    encoded = apply("vae_encoder", vae.encoder, lambda _: vae.encode(pixels).latent_dist.mode())
    vae.enable_tiling()
    vae.tile_latent_min_size, vae.tile_sample_min_size = TILE // 4, TILE
    with torch.inference_mode():
        theirs = vae.decode(latents).sample
    vae.disable_tiling()
    assert off(ours, wanted) < 0.014
    assert off(encoded, latents) < 0.010
    assert off(theirs, wanted) > 3 * off(ours, wanted)


def test_with_the_statistics_of_the_whole_picture_pieces_are_exact(vae, pixels, monkeypatch):
    """So there are no seams, and all that tiling is off by comes from the statistics of the small copy."""
    from latentry_tiling.tiles import Tiled

    with torch.inference_mode():
        latents = vae.encode(pixels).latent_dist.mode()
        wanted = vae.decode(latents).sample
    monkeypatch.setattr(Tiled, "_small", lambda _self, values, _tile: values)
    found = apply("vae_decoder", vae.decoder, lambda _: vae.decode(latents).sample)
    assert off(found, wanted) < 1e-5
    assert float((found - wanted).abs().max()) < 1e-3, "no more where pieces meet"
    found = apply("vae_encoder", vae.encoder, lambda _: vae.encode(pixels).latent_dist.mode())
    assert off(found, latents) < 1e-5


def test_pictures_that_wrap_around_still_do(monkeypatch):
    """Convolutions that take their border from the other end, as seamless textures have them."""
    from latentry_tiling.tiles import Tiled

    module = make_part("sd.vae_decoder").component.module
    decoder = module.model.decoder
    convolutions = [
        part for part in decoder.modules() if isinstance(part, torch.nn.Conv2d) and part.padding == (1, 1)
    ]
    for part in convolutions:
        part.padding = (1, 0)
        part.register_forward_pre_hook(
            lambda _m, given: (torch.nn.functional.pad(given[0], (1, 1, 0, 0), mode="circular"),)
        )
    latents = torch.randn(1, 4, 48, 64, generator=torch.Generator().manual_seed(1))
    monkeypatch.setattr(Tiled, "_small", lambda _self, values, _tile: values)
    with torch.inference_mode():
        wanted = module(latents)
    found = apply("vae_decoder", module, lambda module: module(latents), tile=64, halo=16)
    assert off(found, wanted) < 1e-4


@pytest.mark.parametrize("name", ["vae_decoder", "vae_encoder"])
def test_a_picture_of_one_piece_is_the_same_to_the_bit(name):
    part = make_part(f"sd.{name}")
    arrays = part.component.example()
    wanted = part.component.module(*arrays)
    assert apply(name, part.component.module, lambda module: module(*arrays), tile=64, halo=16).equal(wanted)


def test_a_copy_of_the_module_is_tiled_with_its_own_weights():
    part = make_part("sd.vae_decoder")
    changed, undo = SPECS["vae-tiling"].apply(part.component, None, tile=32, halo=8)
    copied = deepcopy(changed.module)
    for weight in copied.parameters():
        weight.zero_()
    assert copied(part.arguments(1, (40, 40))[0]).abs().sum() == 0
    assert changed.module(part.arguments(1, (40, 40))[0]).abs().sum() > 0
    undo()


def test_slices_are_the_rows_results():
    part = make_part("sd.vae_decoder")
    (batch,) = part.arguments(3, (8, 8))
    wanted = [part.component.module(row) for row in batch.split(1)]
    changed, undo = SPECS["vae-slicing"].apply(part.component, None)
    seen = []
    hook = part.component.module.model.decoder.register_forward_pre_hook(
        lambda _m, given: seen.append(len(given[0]))
    )
    assert changed.module(batch).equal(torch.cat(wanted))
    assert deepcopy(changed.module)(batch).equal(torch.cat(wanted))
    assert set(seen) == {1}
    hook.remove()
    undo()


def test_what_engines_keep_is_kept_apart():
    part = make_part("sd.vae_decoder").component
    digests = {part.digest()}
    for name, options in (
        ("vae-tiling", {"tile": 64, "halo": 16}),
        ("vae-tiling", {"tile": 96, "halo": 16}),
        ("vae-slicing", {}),
    ):
        changed, undo = SPECS[name].apply(part, None, **options)
        digests.add(changed.digest())
        undo()
    assert len(digests) == 4


def test_other_modules_are_refused():
    with pytest.raises(Unavailable, match="vae_decoder is no AutoencoderKL of diffusers"):
        SPECS["vae-tiling"].apply(component("vae_decoder", torch.nn.Linear(1, 1)), None, tile=64, halo=16)


@pytest.mark.parametrize("length", [1, 16, 17, 31, 33, 64, 100, 1000])
@pytest.mark.parametrize("unit", [1, 4])
@pytest.mark.parametrize("wraps", [False, True])
def test_pieces_cover_a_side_once_and_are_within_the_tile(length, unit, *, wraps):
    found = spans(length, 32, 8, unit, wraps=wraps)
    assert [span.start for span in found] == [0, *(span.stop for span in found[:-1])]
    assert found[-1].stop == length
    assert all(span.high - span.low <= 32 and span.start % unit == 0 for span in found)
    ends = length + 8 if wraps else length
    assert all(span.before == 8 and span.high == min(span.stop + 8, ends) for span in found[1:-1])


@pytest.mark.parametrize("options", [{"tile": 100, "halo": 32}, {"tile": 16}, {"halo": 4}, {"tile": 10_000}])
def test_tiles_that_are_too_small_or_large_are_refused(options):
    with pytest.raises(ValueError, match=r"tile|halo"):
        TilingOptions(**options)


def test_estimates_follow_pieces_and_rows():
    whole = Footprint(100, 1_000_000, 10)
    work = Work("vae_decoder", (1024, 1024), 1, 2)
    assert tiled(whole, work, tile=512, halo=64) == Footprint(100, 263_000, 10)
    assert tiled(whole, work, tile=1024, halo=64) == whole
    assert tiled(whole, replace(work, size=(4096, 4096)), tile=512, halo=64).passing == 84_000
    assert tiled(whole, replace(work, count=4), tile=512, halo=64).passing == 65_750
    assert sliced(whole, replace(work, count=4)) == Footprint(100, 255_000, 10)
    assert sliced(whole, work) == whole
