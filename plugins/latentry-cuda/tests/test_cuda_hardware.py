"""What only a card can show. Where there is one: `pytest -m hardware plugins/latentry-cuda -rs`."""

import pytest
import torch

import latentry_cuda
from latentry_sdk.nvidia import driver, gpus
from latentry_sdk.testing.devices import distance
from latentry_sdk.testing.devices_models import exact
from latentry_sdk.testing.hardware import opened
from latentry_sdk.testing.parts import make_part

pytestmark = pytest.mark.hardware

SPECS = latentry_cuda.register_devices()


@pytest.fixture
def unet():
    return make_part("sdxl.unet")


def answers(device, part, dtype=None, *, batch=2, size=(8, 8)):
    """What a placed part gives in a job of its own, and what is exact."""
    placed = device.place(part.component, dtype)
    arguments = part.arguments(batch, size)
    with device.activate():
        found = placed(*arguments)
    placed.close()
    return found, exact(part.component, arguments)


def test_the_driver_and_torch_tell_of_the_same_cards():
    with opened(SPECS[0]) as device, driver() as nvml:
        found = gpus(nvml)
        assert len(found) == torch.cuda.device_count()
        for index, gpu in enumerate(found):
            assert torch.cuda.get_device_capability(index) == gpu.capability
            assert torch.cuda.get_device_properties(index).total_memory <= gpu.memory.total
        assert abs(device.memory().free - SPECS[0].memory().free) < found[0].memory.total / 20


def test_tf32_is_only_used_where_it_is_asked_for():
    torch.manual_seed(0)
    part = make_part("sdxl.unet")
    with opened(SPECS[0]) as device:
        narrow = distance(*answers(device, part))
    with opened(SPECS[0], tf32=True) as device:
        if torch.cuda.get_device_capability(0) < (8, 0):
            pytest.skip("this card has no TF32")
        wide = distance(*answers(device, part))
    assert narrow < 1e-5 < wide < 1e-2


@pytest.mark.parametrize("kernel", ["flash", "efficient", "cudnn", "math"])
def test_each_kernel_of_attention_computes_or_says_that_it_cannot(kernel, unet):
    with opened(SPECS[0], attention=kernel) as device:
        try:
            found, wanted = answers(device, unet, "float16")
        except RuntimeError as exc:
            assert "No available kernel" in str(exc)  # noqa: PT017
            pytest.skip(f"this card and model have no {kernel} attention")
        assert distance(found, wanted) < 0.02


def test_a_kernel_that_cannot_do_float32_is_an_error_and_no_other_kernel(unet):
    with (
        opened(SPECS[0], attention="flash") as device,
        pytest.raises(RuntimeError, match="No available kernel"),
    ):
        answers(device, unet, "float32")


def test_weights_in_8_bits_take_half_of_those_in_16():
    with opened(SPECS[0]) as device:
        if "float8_e4m3fn" not in SPECS[0].probe().dtypes:
            pytest.skip("this card has no 8-bit floating type")
        layer = torch.nn.Linear(4096, 4096, bias=False)
        part = make_part("sd.unet").component
        taken = {}
        for dtype in ("bfloat16", "float8_e4m3fn"):
            before = torch.cuda.memory_allocated(0)
            placed = device.place(type(part)("unet", "torch", layer, part.example, part.digest), dtype)
            taken[dtype] = torch.cuda.memory_allocated(0) - before
            placed.close()
        assert torch.cuda.memory_allocated(0) == before
    assert taken["float8_e4m3fn"] * 2 == taken["bfloat16"] == 2 * 4096**2


def test_a_component_on_each_card_in_one_job():
    if len(SPECS) < 2 or not SPECS[1].probe().available:
        pytest.skip("there is one card, or none")
    unet, decoder = make_part("sd.unet"), make_part("sd.vae_decoder")
    with opened(SPECS[0]) as first, opened(SPECS[1]) as second:
        one, other = first.place(unet.component, None), second.place(decoder.component, None)
        arguments = unet.arguments(1, (8, 8))
        with first.activate(), second.activate():
            latents = one(*(array.to(one.home) for array in arguments))
            assert latents.device.type == "cuda"
            picture = other(latents)
        wanted = exact(decoder.component, [exact(unet.component, arguments)])
        assert distance(picture, wanted) < 1e-4
