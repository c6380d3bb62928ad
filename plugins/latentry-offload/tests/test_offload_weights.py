"""Where weights are before, during and after calls, also when calls fail, meet or run beside copies."""

import gc
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from latentry_offload import register_optimizers
from latentry_offload.bringing import Beside
from latentry_offload.keeper import staying
from latentry_offload.stores import InMemory
from latentry_offload.weights import Weights
from latentry_sdk import InvalidRequest, Memory, Options, Unavailable
from latentry_sdk.testing.accelerator import Ledger, fake_device
from latentry_sdk.testing.parts import make_part
from latentry_sdk.torch_device import TorchDevice, TorchPlace

SPECS = {spec.name: spec for spec in register_optimizers()}


@pytest.fixture
def device():
    """The pretend accelerator, computing."""
    device = fake_device().open(Options())
    assert Ledger().now == 0
    with device.activate():
        yield device
    gc.collect()
    assert Ledger().now == 0


def offloaded(name, component, device, **options):
    spec = SPECS[name]
    return spec.apply(component, device, **dict(spec.options.model_validate(options)))


def devices_of(module):
    return {tensor.device.type for tensor in (*module.parameters(), *module.buffers())}


def test_components_take_turns(device):
    parts = [make_part(name) for name in ("sd.unet", "sd.vae_decoder")]
    changed = [offloaded("model-offload", part.component, device) for part in parts]
    placed = [device.place(component, None) for component, _ in changed]
    assert Ledger().now == 0
    for index in (0, 1, 1, 0):
        placed[index](*parts[index].component.example())
        there = [devices_of(part.component.module) for part in parts]
        assert there[index] == {"fake"}
        assert there[1 - index] == {"cpu"}
        gc.collect()
        assert Ledger().now == sum(weight.nbytes for weight in parts[index].component.module.parameters())
    for _, undo in changed:
        undo()


def test_calls_of_two_threads_wait_for_each_other(device):
    parts = [make_part(name) for name in ("sd.unet", "sd.vae_decoder")]
    wanted = [part.component.module(*part.component.example()) for part in parts]
    changed = [offloaded("model-offload", part.component, device) for part in parts]
    placed = [device.place(component, None) for component, _ in changed]

    def call(index):
        with torch.inference_mode():
            return placed[index](*parts[index].component.example())

    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(call, [0, 1] * 6))
    for index, answer in enumerate(found):
        torch.testing.assert_close(answer, wanted[index % 2], rtol=1e-4, atol=1e-4)
    for _, undo in changed:
        undo()


@pytest.mark.parametrize("name", ["group-offload", "sequential-offload", "disk-offload"])
def test_a_call_that_fails_leaves_no_block_on_the_device(device, name):
    part = make_part("sd.vae_decoder")
    handle = part.component.module.model.decoder.conv_out.register_forward_pre_hook(lambda *_: 1 / 0)
    component, undo = offloaded(name, part.component, device)
    placed = device.place(component, None)
    with pytest.raises(ZeroDivisionError):
        placed(*part.component.example())
    gc.collect()
    assert Ledger().now == 0
    handle.remove()
    placed(*part.component.example())
    undo()
    assert devices_of(part.component.module) == {"cpu"}


def test_what_rests_on_disk_is_in_no_memory_and_the_files_go_with_the_undo(device, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    part = make_part("sd.unet")
    module = part.component.module
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    component, undo = offloaded("disk-offload", part.component, device)
    placed = device.place(component, "float16")
    assert devices_of(module) == {"meta"}
    held = sum(file.stat().st_size for file in tmp_path.rglob("*.safetensors"))
    assert held > 1.5 * sum(tensor.nbytes for tensor in before.values()), "as they are, and in half"
    placed(*part.component.example())
    assert devices_of(module) == {"meta"}
    undo()
    assert [*tmp_path.rglob("*")] == []
    after = module.state_dict()
    assert all(
        after[name].equal(tensor) and after[name].dtype == tensor.dtype for name, tensor in before.items()
    )


def test_word_embeddings_are_looked_up_where_they_rest(device):
    part = make_part("sd.text_encoder")
    (table,) = (
        m for m in part.component.module.modules() if type(m) is torch.nn.Embedding and len(m.weight) > 77
    )
    places = []
    handle = table.register_forward_hook(lambda _m, _i, answer: places.append(answer.device.type))
    component, undo = offloaded("group-offload", part.component, device)
    placed = device.place(component, None)
    wanted = make_part("sd.text_encoder").component.module(*part.component.example())
    found = placed(*part.component.example())
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    assert places == ["cpu"]
    handle.remove()
    undo()


def test_a_component_is_not_offloaded_in_two_ways(device):
    component, undo = offloaded("model-offload", make_part("sd.vae_decoder").component, device)
    with pytest.raises(InvalidRequest, match="vae_decoder is offloaded in two ways"):
        offloaded("group-offload", component, device)
    undo()


def test_a_kind_without_torch_modules_is_refused(device):
    with pytest.raises(InvalidRequest, match="'floats' cannot be offloaded"):
        offloaded("group-offload", replace(make_part("sd.vae_decoder").component, kind="floats"), device)


def test_a_device_that_settles_nothing_has_it_settled_at_the_first_call(device):
    part = make_part("sd.unet")
    wanted = part.component.module(*part.component.example())
    component, undo = offloaded("sequential-offload", part.component, object())
    arrays = [each.to("fake") for each in part.component.example()]
    with torch.inference_mode():
        found = component.module(*arrays)
        assert found.device.type == "fake"
        torch.testing.assert_close(found.cpu(), wanted, rtol=1e-4, atol=1e-4)
    undo()


class Packed(torch.Tensor):
    """A tensor with an inside of its own, as quantizers make them."""


def test_quantized_weights_do_not_rest_on_disk(device):
    part = make_part("sd.vae_decoder")
    layer = part.component.module.model.decoder.conv_out
    layer._buffers["packed"] = torch.zeros(2).as_subclass(Packed)
    component, undo = offloaded("disk-offload", part.component, device)
    with pytest.raises(Unavailable, match="quantized cannot rest on disk; use group-offload"):
        device.place(component, None)
    undo()
    assert devices_of(part.component.module) == {"cpu"}


def test_tied_weights_are_brought_once():
    first, second = torch.nn.Linear(3, 3), torch.nn.Linear(3, 3)
    second.weight = first.weight
    original = first.weight
    weights = Weights([first, second])
    assert weights.bytes == (9 + 3 + 3) * 4
    weights.settle(InMemory(), torch.float16)
    weights.bring("meta")
    assert first.weight is second.weight
    assert (first.weight.device.type, first.weight.dtype) == ("meta", torch.float16)
    weights.restore()
    assert first.weight is original
    assert second.weight is original


@pytest.mark.parametrize(
    ("sizes", "tables", "keep", "stay"),
    [
        ([5, 9, 3], [False] * 3, 12, {1, 2}),
        ([5, 9, 3], [False, True, False], 12, {0, 2}),
        ([5, 9, 3], [False] * 3, 0, set()),
        ([5, 9, 3], [False] * 3, 100, {0, 1, 2}),
    ],
)
def test_the_largest_blocks_stay_and_tables_last(sizes, tables, keep, stay):
    assert staying(sizes, tables, keep) == stay


class Streams:
    """Stands for `torch.cuda`: notes what is asked of it, in order."""

    def __init__(self):
        self.done = []
        self.on = "current"

    def Stream(self, device):  # noqa: N802
        return self

    def stream(self, _stream):
        outer = self

        class On:
            def __enter__(self):
                outer.on = "beside"

            def __exit__(self, *_):
                outer.on = "current"

        return On()

    def record_event(self):
        self.done.append(f"event on {self.on}")
        return "arrived"

    def current_stream(self, _home):
        return self

    def wait_event(self, event):
        self.done.append(f"wait for {event}")


class Noting:
    """Weights that note when they are brought and told of a stream."""

    def __init__(self, api, name):
        self.api, self.name, self.here = api, name, ()

    def bring(self, _home, *, beside):
        self.api.done.append(f"{self.name} on {self.api.on}, {beside=}")
        self.here = (self,)

    def record_stream(self, stream):
        assert stream is self.api
        self.api.done.append(f"{self.name} used")


def test_computing_waits_for_copies_and_their_memory_for_the_computing():
    api = Streams()
    bringer, now, nxt = Beside(api, "cuda:0"), Noting(api, "now"), Noting(api, "next")
    bringer.bring(now)
    bringer.start(nxt)
    bringer.start(nxt)
    bringer.bring(nxt)
    came = "beside=True"
    assert api.done == [
        f"now on beside, {came}", "event on beside", "wait for arrived", "now used",
        f"next on beside, {came}", "event on beside", "wait for arrived", "next used",
    ]  # fmt: skip


@pytest.mark.hardware
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("name", ["model-offload", "group-offload", "sequential-offload"])
def test_a_gpu_gives_the_same_bits(name):
    part = make_part("sd.unet")
    device = TorchDevice(TorchPlace("cuda", "cuda:0", ("float32",), Memory))
    with device.activate():
        wanted = device.place(part.component, None)(*part.component.example())
        component, undo = offloaded(name, part.component, device)
        placed = device.place(component, None)
        for _ in range(3):
            assert placed(*part.component.example()).equal(wanted)
    undo()


def test_no_folder_is_made_before_it_is_needed(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    _, undo = offloaded("disk-offload", make_part("sd.vae_decoder").component, object())
    assert not [*Path(tmp_path).iterdir()]
    undo()
