"""The base of torch devices, on the CPU and on torch's device without numbers, `meta`."""

import gc
import weakref
from dataclasses import replace

import pytest
import torch

from latentry_sdk import Component, Memory, OutOfMemory, PluginError, Unavailable
from latentry_sdk.memory import memory_of
from latentry_sdk.torch_copies import cast_copy, stored_copy
from latentry_sdk.torch_device import TorchDevice, TorchPlace

CPU = TorchPlace("here", "cpu", ("float32", "float16", "bfloat16", "float8_e4m3fn"), memory=Memory)
META = replace(CPU, name="there", home="meta")


class Block(torch.nn.Module):
    """A convolution and a linear layer that says on which device and in which type it is called."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(4, 8, 3, padding=1)
        self.norm = torch.nn.GroupNorm(2, 8)
        self.linear = torch.nn.Linear(8, 4)

    def forward(self, sample, timestep):
        self.seen = (sample.device.type, sample.dtype, timestep.dtype)
        return self.linear(self.norm(self.conv(sample)).movedim(1, -1)), timestep


def component(module=None, *, managed=False):
    torch.manual_seed(0)
    example = lambda: (torch.randn(2, 4, 8, 8), torch.tensor([3.0]))  # noqa: E731
    return Component("unet", "torch", module or Block(), example, lambda: "digest", managed)


def devices_of(module):
    return {weight.device.type for weight in module.parameters()}


def test_a_device_of_its_own_gets_a_copy_and_the_component_stays_on_the_cpu():
    part = component()
    placed = TorchDevice(META).place(part, "float16")
    assert devices_of(part.module) == {"cpu"}
    assert {(weight.device.type, weight.dtype) for weight in placed.module.parameters()} == {
        ("meta", torch.float16)
    }
    assert (placed.home, placed.dtype) == ("meta", "float16")


def test_arguments_are_brought_there_and_the_timestep_keeps_its_type():
    placed = TorchDevice(META).place(component(), "float16")
    with pytest.raises(NotImplementedError):  # numbers that are nowhere cannot be brought back
        placed(*component().example())
    assert placed.module.seen == ("meta", torch.float16, torch.float32)


def test_without_float64_there_it_never_gets_there_and_comes_back_all_the_same():
    part = component()
    sample, timestep = (array.double() for array in part.example())
    for doubles, seen in ((True, torch.float64), (False, torch.float32)):
        placed = TorchDevice(replace(CPU, doubles=doubles)).place(part, None)
        assert placed(sample, timestep)[0].dtype == torch.float64
        assert placed.module.seen == ("cpu", torch.float32, seen)


def test_a_device_in_the_hosts_memory_borrows_the_module_and_brings_it_back():
    part = component()
    with torch.device("meta"):
        empty = Block()
    part = replace(part, module=empty)
    placed = TorchDevice(replace(CPU, home="meta", shared=True)).place(part, None)
    assert placed.module is part.module
    moved = []
    part.module.to = lambda where: moved.append(where)
    placed.close()
    placed.close()
    assert moved == ["cpu"]


def test_a_borrowed_module_that_nobody_has_is_not_brought_back():
    with torch.device("meta"):
        part = component(Block())
    placed = TorchDevice(replace(CPU, home="meta", shared=True)).place(part, None)
    left = weakref.ref(part.module)
    del part
    placed.close()  # a move of `meta` to the CPU would raise
    gc.collect()
    assert left() is None


def test_a_narrower_type_in_the_hosts_memory_is_a_copy():
    part = component()
    placed = TorchDevice(replace(CPU, shared=True)).place(part, "float16")
    assert placed.module is not part.module
    assert part.module.conv.weight.dtype == torch.float32


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("shared", [True, False])
def test_weights_that_a_running_job_places_are_plain_tensors(shared, dtype):
    part, device = component(Block().to(torch.bfloat16)), TorchDevice(replace(CPU, shared=shared))
    with device.activate():
        placed = device.place(part, dtype)
        placed(*part.example())
    for module in (part.module, placed.module):
        assert not any(weight.is_inference() for weight in module.parameters())


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("shared", [True, False])
def test_weights_that_were_made_in_inference_mode_can_be_placed(shared, dtype):
    device = TorchDevice(replace(CPU, shared=shared))
    with torch.inference_mode():
        part = component(Block().to(torch.bfloat16))
    placed = device.place(part, dtype)
    with device.activate():
        assert placed(*part.example())[0].isfinite().all()


@pytest.mark.parametrize("shared", [True, False])
def test_managed_weights_are_left_where_they_are(shared):
    module = Block().half()
    placed = TorchDevice(replace(META, shared=shared)).place(component(module, managed=True), "float32")
    assert placed.module is module
    assert (devices_of(module), module.conv.weight.dtype) == ({"cpu"}, torch.float16)


def test_tied_weights_stay_tied_in_copies():
    module = torch.nn.ModuleList([torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)])
    module[1].weight = module[0].weight
    for copied in (cast_copy(module, torch.float16), stored_copy(module, torch.float16, "cpu")):
        assert copied[1].weight is copied[0].weight


def test_weights_kept_in_8_bits_compute_in_the_wide_type():
    part = component()
    device = TorchDevice(replace(CPU, wide="float32"))
    placed = device.place(part, "float8_e4m3fn")
    kept = placed.module
    assert {kept.conv.weight.dtype, kept.linear.weight.dtype} == {torch.float8_e4m3fn}
    assert {kept.norm.weight.dtype, kept.conv.bias.dtype} == {torch.float32}
    assert placed.dtype == "float8_e4m3fn"
    rounded = Block()
    rounded.load_state_dict(part.module.state_dict())
    for layer in (rounded.conv, rounded.linear):
        layer.weight.data = layer.weight.data.to(torch.float8_e4m3fn).float()
    arrays = part.example()
    torch.testing.assert_close(placed(*arrays)[0], rounded(*arrays)[0])
    assert (placed(*arrays)[0] - part.module(*arrays)[0]).abs().max() > 1e-3


def test_a_closed_copy_is_gone_at_once():
    for dtype in ("float16", "float8_e4m3fn"):
        placed = TorchDevice(META).place(component(), dtype)
        left = weakref.ref(placed.module)
        placed.close()
        assert left() is None


def test_a_layer_beyond_the_range_of_8_bits_is_not_kept_in_them():
    module = Block()
    module.linear.weight.data[0, 0] = 449.0
    kept = stored_copy(module, torch.float32, "cpu")
    assert kept.linear.weight.dtype == torch.float32
    assert kept.linear.weight[0, 0] == 449.0
    assert kept.conv.weight.dtype == torch.float8_e4m3fn


def test_a_type_the_place_lacks_is_refused_and_so_is_what_its_check_refuses():
    def check(name):
        raise Unavailable(f"no {name} today")

    with pytest.raises(Unavailable, match="there does not compute in 'float12'; choose one of float32, fl"):
        TorchDevice(META).place(component(), "float12")
    with pytest.raises(Unavailable, match="no float16 today"):
        TorchDevice(replace(META, check=check)).place(component(), "float16")


class Counted:
    """Calls the module, and keeps what it was called with."""

    def __init__(self, module):
        self.module, self.calls, self.taken = module, [], 0

    def __call__(self, *arrays):
        self.calls.append([array.dtype for array in arrays])
        return self.module(*arrays)

    def given_away(self):
        self.taken += 1


def test_what_is_called_in_the_modules_stead_gets_arrays_there_and_learns_who_takes_the_module():
    part, made = component(), []

    def calling(module, placed):
        assert placed is part
        made.append(Counted(module))
        return made[0]

    placed = TorchDevice(replace(CPU, calling=calling)).place(part, "float16")
    assert placed(*part.example())[0].dtype == torch.float32
    assert (made[0].calls, made[0].taken) == ([[torch.float16, torch.float32]], 0)
    assert placed.module is made[0].module
    assert made[0].taken == 1
    placed.close()
    with pytest.raises(PluginError, match="closed"):
        placed(*part.example())


def test_the_context_and_the_emptying_are_the_places_own():
    seen = []

    class Context:
        def __enter__(self):
            seen.append("in")

        def __exit__(self, *_):
            seen.append("out")

    device = TorchDevice(replace(CPU, context=Context, empty=lambda: seen.append("emptied")))
    with device.activate():
        assert torch.is_inference_mode_enabled()
    device.close()
    assert seen == ["in", "out", "emptied"]
    assert device.memory() == Memory()


class Greedy(torch.nn.Module):
    """Holds an array, then asks for more than there is."""

    def forward(self, x):
        held = x + 1
        self.held = weakref.ref(held)
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError(
            "Could not allocate tensor with 1 bytes. There is not enough GPU video memory available!"
        ),
        MemoryError(),
    ],
    ids=["cuda", "mps", "cpu", "directml", "python"],
)
def test_a_lack_of_memory_is_told_as_such_and_what_was_held_is_let_go_of(error):
    module = Greedy()
    module.error = error
    placed = TorchDevice(CPU).place(component(module), None)
    with pytest.raises(OutOfMemory, match=r"here has not enough memory: .*; ask for a smaller") as raised:
        placed(torch.ones(4))
    assert raised.value.__cause__ is not None
    assert placed.module.held() is None


def test_a_real_lack_of_memory_is_told_as_such():
    with pytest.raises(OutOfMemory, match="here has not enough memory"), memory_of("here"):
        torch.empty(1 << 60, dtype=torch.uint8)


def test_other_errors_stay_what_they_are():
    module = Greedy()
    module.error = RuntimeError("shapes do not match")
    placed = TorchDevice(CPU).place(component(module), None)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        placed(torch.ones(4))
