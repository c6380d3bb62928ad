"""What is alike in all quantizers of real models: room, refusals, casts, and a job that says so."""

from importlib import import_module

import pytest
import torch

from latentry import Host, Request
from latentry_sdk import UnknownName
from latentry_sdk.quantizing import packed_layers
from latentry_sdk.testing.parts import make_part

PACKING = {
    "bitsandbytes": ("int8", "nf4", "fp4"),
    "nncf": ("int8", "int4"),
    "quanto": ("int8", "float8", "int4"),
    "sdnq": ("int8", "uint4"),
    "torchao": ("int8", "int8-dynamic", "int4"),
}
"""The schemes that pack weights of any shape; GGUF's blocks have tests of their own."""

CASES = [(name, scheme) for name, schemes in PACKING.items() for scheme in schemes]


def codec(name, scheme):
    return import_module(f"latentry_{name}.codecs").codec(scheme)


@pytest.fixture(scope="module")
def host():
    with Host() as host:
        yield host


def test_these_are_all_but_ggufs_and_the_toys(host):
    found = {name: set(spec.schemes) for name, spec in host.registry.quantizers.items()}
    assert {name: set(schemes) for name, schemes in PACKING.items()} == {
        name: schemes for name, schemes in found.items() if name not in ("gguf", "toy-round")
    }


@pytest.mark.parametrize(("name", "scheme"), CASES)
def test_the_declared_bits_are_what_a_weight_takes(host, name, scheme):
    """A matrix or a filter, whichever takes more."""
    packing, taken = codec(name, scheme), []
    for shape in ((640, 1280), (320, 320, 3, 3)):
        weight = torch.randn(shape)
        kept = packing.pack(weight)
        taken.append(8 * sum(tensor.nbytes for tensor in kept.values()) / weight.numel())
    assert max(taken) == pytest.approx(host.registry.quantizers[name].bits[scheme], rel=0.03)


@pytest.mark.parametrize(("name", "scheme"), CASES)
def test_a_stored_weight_of_another_shape_is_refused(name, scheme):
    packing = codec(name, scheme)
    kept = packing.pack(torch.randn(48, 256))
    with pytest.raises(ValueError, match="shape"):
        packing.adopt(kept, (48, 300) if "4" in scheme else (48, 255))


@pytest.mark.parametrize(("name", "scheme"), CASES)
def test_a_cast_leaves_the_packed_numbers_alone(host, name, scheme):
    found = host.registry.quantizers[name].apply(make_part("sd.unet").component, scheme).module
    before = [tensor.clone() for _, layer in packed_layers(found) for tensor in layer.kept().values()]
    found.to(torch.bfloat16)
    after = [tensor for _, layer in packed_layers(found) for tensor in layer.kept().values()]
    numbers = [(old, new) for old, new in zip(before, after, strict=True) if old.dtype.itemsize == 1]
    assert numbers
    for old, new in numbers:
        assert new.dtype == old.dtype
        assert torch.equal(new.view(torch.uint8), old.view(torch.uint8))


@pytest.mark.parametrize("name", PACKING)
def test_a_host_draws_with_it_and_says_so(host, name):
    label = f"{name}:{PACKING[name][0]}"
    asked = Request(task="txt2img", prompt="a red apple", steps=2, seed=1, quantize={"unet": label})
    assert host.run(asked).applied["quantizers"] == {"unet": label}
    with pytest.raises(UnknownName, match=f"unknown scheme of {name} 'int3'"):
        host.plan(asked.model_copy(update={"quantize": {"unet": f"{name}:int3"}}))
