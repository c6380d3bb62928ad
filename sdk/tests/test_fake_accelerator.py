"""The pretend accelerator is a device like others, and its ledger is exact."""

import gc
from functools import partial

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from latentry_sdk import Memory, Options, OutOfMemory
from latentry_sdk.testing import DeviceSuite
from latentry_sdk.testing.accelerator import FakeAccelerator, Ledger, fake_device
from latentry_sdk.testing.accelerator.ledger import operators, set_dry, set_fused
from latentry_sdk.testing.parts import make_part

MEGABYTE = 1 << 20


class TestFakeDevice(DeviceSuite):
    """The second one, so that indices matter."""

    @pytest.fixture
    def spec(self):
        return fake_device(1)


@pytest.fixture
def ledger():
    """The first device's, with nothing held."""
    operators()
    gc.collect()  # of earlier tests, what only cycles hold
    ledger = Ledger()
    assert ledger.now == 0
    ledger.restart()
    yield ledger
    ledger.limit(None)
    set_dry(False)
    set_fused(True)


def there(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1)).to("fake:0")


def test_the_ledger_counts_each_tensor_once_and_until_it_is_gone(ledger):
    kept = torch.empty(MEGABYTE, dtype=torch.uint8, device="fake")
    view = kept[:16].view(4, 4).t()
    other = kept + 1
    assert (ledger.now, ledger.peak) == (2 * MEGABYTE, 2 * MEGABYTE)
    del other, kept
    assert ledger.now == MEGABYTE, "the view holds it"
    del view
    assert (ledger.now, ledger.peak) == (0, 2 * MEGABYTE)
    ledger.restart()
    assert ledger.peak == 0


def test_the_devices_have_an_account_each(ledger):
    kept = torch.empty(100, dtype=torch.uint8, device="fake:1")
    assert (ledger.now, Ledger(1).now) == (0, 100)
    assert (kept + kept).device == torch.device("fake", 1)
    assert kept.to("fake:0").device == torch.device("fake", 0)
    with pytest.raises(IndexError, match="there is no device fake:2"):
        torch.empty(1, device="fake:2")


def test_what_goes_beyond_the_limit_is_torchs_own_error_and_leaves_the_rest(ledger):
    kept = torch.zeros(100, dtype=torch.uint8, device="fake")
    ledger.limit(150)
    with pytest.raises(torch.OutOfMemoryError, match="fake:0 is out of memory: 100 bytes wanted, 100 of 150"):
        kept + 1
    assert int(kept.sum()) == 0
    ledger.limit(200)
    assert int((kept + 1).cpu().sum()) == 100


def test_the_peak_of_a_chain_is_that_of_two_neighbours(ledger):
    layers = torch.nn.Sequential(*(torch.nn.ReLU() for _ in range(5)))
    with torch.inference_mode():
        layers(torch.empty(MEGABYTE, dtype=torch.float32, device="fake"))
    assert ledger.peak == 3 * 4 * MEGABYTE, "the argument, what a layer takes and what it gives"


@pytest.mark.parametrize(
    "call",
    [
        lambda a: a.t() @ a,
        lambda a: a[1:, ::2].contiguous(),
        lambda a: torch.cat([a, a * 2]).chunk(2, 1)[1],
        lambda a: a.clone().add_(1).mul_(a),
        lambda a: a.abs().sqrt().mean(0, keepdim=True).expand(4, -1),
        lambda a: a.unfold(1, 3, 2).sum(-1),
        lambda a: a.half().float() + a.to(torch.float8_e4m3fn).float(),
        lambda a: torch.where(a > 0, a, 0.0)[a.sum(1) > 0],
        lambda a: torch.nn.functional.pad(a, (1, 1)).roll(1, 0).flip(0),
        lambda a: torch.stack([a, a]).permute(2, 0, 1).reshape(6, -1)[:, torch.tensor([0, 2])],
        lambda a: torch.zeros_like(a).index_put_((torch.tensor([1]),), a[0]),
        lambda a: torch.nn.functional.interpolate(a[None, None], scale_factor=2),
    ],
)
def test_operators_give_what_they_give_on_the_processor(ledger, call):
    here = torch.randn(4, 6, generator=torch.Generator().manual_seed(2))
    found, wanted = call(here.to("fake")), call(here)
    assert found.device.type == "fake"
    assert found.cpu().equal(wanted)


@pytest.mark.parametrize("name", ["sdxl.unet", "sdxl.text_encoder_2", "sd.vae_decoder"])
def test_models_give_what_the_processor_does_and_leave_nothing_there(ledger, name):
    component = make_part(name).component
    device = fake_device().open(Options())
    with device.activate():
        placed = device.place(component, None)
        held = ledger.now
        found, wanted = placed(*component.example()), component.module(*component.example())
    tensors = [*component.module.parameters(), *component.module.buffers()]
    assert held == sum(tensor.nbytes for tensor in tensors)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    placed.close()
    del placed
    assert ledger.now == 0


def test_fused_attention_keeps_no_scores(ledger):
    tokens = 512
    arrays = [there(1, 2, tokens, 8) for _ in range(3)]
    peaks = []
    for fused in (True, False):
        set_fused(fused)
        ledger.restart()
        before = ledger.now
        with torch.inference_mode():
            found = scaled_dot_product_attention(*arrays)
        peaks.append(ledger.peak - before)
        torch.testing.assert_close(found.cpu(), scaled_dot_product_attention(*(a.cpu() for a in arrays)))
        del found
    one = arrays[0].nbytes
    scores = 2 * tokens**2 * 4
    assert peaks[0] == one
    assert peaks[1] >= 2 * scores


def test_a_dry_device_accounts_for_more_than_there_is(ledger):
    set_dry(True)
    with torch.inference_mode():
        layer = torch.nn.Linear(1 << 19, 1 << 19, bias=False, device="meta").to_empty(device="fake")
        found = layer(torch.empty(3, 1 << 19, device="fake"))
    assert found.shape == (3, 1 << 19)
    assert ledger.peak == (1 << 40) + 2 * 3 * (1 << 21)
    assert found.isfinite().all()
    assert found.cpu().eq(0).all()


def test_a_dry_model_has_the_peak_of_one_that_computes(ledger):
    component = make_part("sdxl.unet").component
    peaks = []
    for dry in (True, False):
        device = fake_device(plugin=FakeAccelerator(dry=dry)).open(Options())
        ledger.restart()
        with device.activate():
            device.place(component, None)(*component.example())
        peaks.append(ledger.peak)
    assert peaks[0] == peaks[1]


def test_a_device_says_what_is_free_and_runs_out_at_its_limit(ledger):
    component = make_part("sd.vae_decoder").component
    size = sum(weight.nbytes for weight in component.module.parameters())
    open_at = lambda size: fake_device(plugin=FakeAccelerator(bytes=size)).open(Options())  # noqa: E731
    device = open_at(2 * size)
    with device.activate():
        placed = device.place(component, None)
        assert device.memory() == Memory(2 * size, size)
        placed(*component.example())
    placed.close()
    del placed
    device = open_at(size - 1)
    with pytest.raises(OutOfMemory, match="fake has not enough memory"), device.activate():
        device.place(component, None)
    assert ledger.now == 0, "what was placed before it ran out is let go of"


def test_the_library_is_built_once(ledger, tmp_path, monkeypatch):
    from latentry_sdk import Unavailable
    from latentry_sdk.testing.accelerator import building

    assert building.library().exists()
    monkeypatch.setattr(building, "_build", partial(pytest.fail, "it was there"))
    building.library()
    monkeypatch.undo()
    monkeypatch.setattr(building, "user_cache_path", lambda _name: tmp_path)
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(Unavailable, match=r"no C\+\+ compiler was found; install g\+\+"):
        building.library()
