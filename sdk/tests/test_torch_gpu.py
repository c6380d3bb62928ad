"""What CUDA, ROCm and XPU share, with a stand-in for `torch.cuda` that computes on the CPU."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch

from latentry_sdk import Component, Memory, OutOfMemory
from latentry_sdk.testing.gpus import FakeGpu
from latentry_sdk.testing.parts import make_part
from latentry_sdk.torch_device import TorchDevice
from latentry_sdk.torch_gpu import Gpu, GraphOptions, attention_mode
from latentry_sdk.torch_graphs import unrecordable

DTYPES = ("float32", "float16", "bfloat16", "float8_e4m3fn")


class Block(torch.nn.Module):
    """Convolution, norm and attention, and a count of how often Python ran it."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = torch.nn.Conv2d(4, 8, 3, padding=1)
        self.norm = torch.nn.GroupNorm(2, 8)
        self.linear = torch.nn.Linear(8, 4)
        self.runs = 0

    def forward(self, sample, timestep):
        self.runs += 1
        rows = self.norm(self.conv(sample)).flatten(2).movedim(1, -1) * timestep
        rows = torch.nn.functional.scaled_dot_product_attention(rows, rows, rows)
        return self.linear(rows), timestep * 2


def component(module=None, *, managed=False):
    example = lambda: (torch.randn(1, 4, 8, 8), torch.tensor([3.0]))  # noqa: E731
    return Component("unet", "torch", module or Block(), example, lambda: "digest", managed)


@pytest.fixture
def api():
    return FakeGpu()


def device(api, **options):
    gpu = Gpu(api, name="gpu", home="cuda:0", index=0, options=GraphOptions(**options))
    return TorchDevice(replace(gpu.place(DTYPES), home="cpu"))


def wanted(part, arrays):
    with torch.inference_mode():
        return part.module(*arrays)[0]


def test_memory_counts_what_torch_keeps_but_does_not_use(api):
    api.reserved, api.allocated = 3 << 20, 1 << 20
    assert device(api).memory() == Memory(total=8 << 30, free=(4 << 30) + (2 << 20))
    api.reserved = 8 << 30
    assert device(api).memory().free == 8 << 30


def test_a_job_runs_on_its_gpu_and_stream_which_wait_for_what_came_before(api):
    with device(api).activate():
        assert api.current_stream().name == "stream 0"
        assert torch.is_inference_mode_enabled()
    assert api.notes == ["on 0", "stream 0 waits for default", "default waits for stream 0", "off 0"]
    assert api.current_stream().name == "default"


def test_without_a_stream_of_its_own_it_uses_the_current_one(api):
    with device(api, stream=False).activate():
        assert api.current_stream().name == "default"
    assert api.notes == ["on 0", "off 0"]


def test_closing_empties_torchs_cache_of_that_gpu(api):
    device(api).close()
    assert api.notes == ["on 0", "emptied", "off 0"]


def test_each_shape_is_recorded_once_and_replayed_with_other_numbers(api):
    part, gpu = component(), device(api, graphs=2)
    placed = gpu.place(part, None)
    kept = []
    with gpu.activate():
        for seed, rows in ((1, 8), (2, 8), (3, 4), (4, 8), (5, 4)):
            torch.manual_seed(seed)
            arrays = (torch.randn(1, 4, rows, 8), torch.tensor([float(seed)]))
            answer, timestep = placed(*arrays)
            torch.testing.assert_close(answer, wanted(part, arrays))
            assert timestep.item() == 2 * seed
            kept.append((answer, wanted(part, arrays)))
    for answer, right in kept:  # later calls leave earlier answers as they were
        torch.testing.assert_close(answer, right)
    assert [graph.replays for graph in api.graphs] == [3, 2]
    assert placed._module.runs == 2 * (3 + 1)  # three calls to warm up, one that is recorded


def test_what_was_recorded_in_a_job_is_replayed_outside_of_one_too(api):
    part, gpu = component(), device(api, graphs=1)
    placed = gpu.place(part, None)
    with gpu.activate():
        placed(*part.example())
    arrays = part.example()
    torch.testing.assert_close(placed(*arrays)[0], wanted(part, arrays))
    assert [graph.replays for graph in api.graphs] == [2]


def test_only_so_many_recordings_are_kept(api):
    gpu = device(api, graphs=1)
    placed = gpu.place(component(), None)
    with gpu.activate():
        for rows in (8, 4, 8):
            placed(torch.randn(1, 4, rows, 8), torch.tensor([1.0]))
    assert len(api.graphs) == 3


def test_without_the_option_nothing_is_recorded(api):
    gpu = device(api)
    with gpu.activate():
        gpu.place(component(), None)(*component().example())
    assert api.graphs == []


def test_a_stage_that_changes_the_module_is_seen_and_the_next_job_is_replayed_again(api):
    part, gpu = component(), device(api, graphs=2)
    placed, arrays = gpu.place(part, None), part.example()
    with gpu.activate():
        before = placed(*arrays)[0]
    with gpu.activate():
        linear = placed.module.linear
        undo = linear.register_forward_hook(lambda _module, _given, answer: answer + 1)
        torch.testing.assert_close(placed(*arrays)[0], before + 1)
    undo.remove()
    assert [graph.replays for graph in api.graphs] == [1]
    with gpu.activate():
        torch.testing.assert_close(placed(*arrays)[0], before)
    assert [graph.replays for graph in api.graphs] == [2]


def test_a_technique_with_hooks_runs_without_graphs_and_that_is_said(api, caplog):
    part, gpu = component(), device(api, graphs=2)
    part.module.linear.register_forward_hook(lambda _module, _given, answer: answer + 1)
    placed, arrays = gpu.place(part, None), part.example()
    with gpu.activate():
        torch.testing.assert_close(placed(*arrays)[0], wanted(part, arrays))
    assert api.graphs == []
    assert "unet on gpu runs without graphs: a technique has changed how Linear is called" in caplog.text


@pytest.mark.parametrize("part", ["sd.text_encoder", "sdxl.text_encoder_2"])
def test_a_text_encoder_that_has_answered_can_still_be_recorded(part):
    made = make_part(part)
    made.component.module(*made.arguments(1, (8, 8)))
    assert any(layer._forward_hooks for layer in made.component.module.modules())
    assert unrecordable(made.component.module) == ""


def test_weights_that_an_optimizer_moves_run_without_graphs_and_that_is_said(api, caplog):
    gpu = device(api, graphs=2)
    with gpu.activate():
        gpu.place(component(managed=True), None)(*component().example())
    assert api.graphs == []
    assert "unet on gpu runs without graphs: an optimizer moves its weights" in caplog.text


class Asking(Block):
    """Looks at a number in Python, which a recording cannot."""

    def forward(self, sample, timestep):
        if self.api.is_current_stream_capturing():
            raise RuntimeError("operation not permitted when stream is capturing")
        return super().forward(sample, timestep)


def test_what_cannot_be_recorded_is_called_and_that_is_said_once(api, caplog, monkeypatch):
    monkeypatch.setattr(Asking, "api", api, raising=False)
    part, gpu = component(Asking()), device(api, graphs=2)
    placed, arrays = gpu.place(part, None), part.example()
    with gpu.activate():
        for _ in range(2):
            torch.testing.assert_close(placed(*arrays)[0], wanted(part, arrays))
    assert caplog.text.count("unet on gpu runs without graphs: operation not permitted") == 1


class Greedy(Block):
    """Finds no memory for a recording."""

    def forward(self, sample, timestep):
        raise torch.OutOfMemoryError("CUDA out of memory.")


def test_a_lack_of_memory_while_recording_is_told_as_such(api):
    gpu = device(api, graphs=2)
    placed = gpu.place(component(Greedy()), None)
    with gpu.activate(), pytest.raises(OutOfMemory, match="gpu has not enough memory"):
        placed(*component().example())


def test_recordings_of_one_component_share_their_memory(api):
    gpu = device(api, graphs=2)
    for _ in range(2):
        placed = gpu.place(component(), None)
        with gpu.activate():
            for rows in (8, 4):
                placed(torch.randn(1, 4, rows, 8), torch.tensor([1.0]))
    first, second, third, fourth = (graph.pool for graph in api.graphs)
    assert first is second
    assert third is fourth
    assert first is not third


def test_a_thread_beside_a_job_begins_no_new_one_and_its_modes_end_with_the_last(api):
    """A preview is decoded while a job runs, in which a stage has changed the module."""
    seen = []

    @contextmanager
    def mode():
        seen.append("in")
        yield
        seen.append("out")

    def preview():
        with job.activate():
            assert api.current_stream().name == "stream 0"

    gpu = Gpu(api, name="gpu", home="cpu", index=0, options=GraphOptions(graphs=2))
    job, part = TorchDevice(gpu.place(DTYPES, mode)), component()
    placed, arrays = job.place(part, None), part.example()
    with job.activate():
        before = placed(*arrays)[0]
    with job.activate():
        placed.module.linear.bias.data += 1
        with ThreadPoolExecutor(1) as threads:
            threads.submit(preview).result()
        torch.testing.assert_close(placed(*arrays)[0], before + 1)
        assert seen == ["in", "out", "in"]
    assert seen == ["in", "out", "in", "out"]
    assert [graph.replays for graph in api.graphs] == [1]


def test_recording_leaves_other_threads_alone_and_is_on_a_stream_of_the_same_gpu(api):
    gpu = Gpu(api, name="gpu", home="cpu", index=1, options=GraphOptions(graphs=2))
    device = TorchDevice(gpu.place(DTYPES))
    with device.activate():
        device.place(component(), None)(*component().example())
    assert "recorded on stream 1, thread_local" in api.notes


@pytest.mark.parametrize("kernel", ["flash", "efficient", "cudnn", "math"])
def test_attention_uses_the_kernel_that_was_asked_for_and_no_other(kernel):
    enabled = {
        "flash": torch.backends.cuda.flash_sdp_enabled,
        "efficient": torch.backends.cuda.mem_efficient_sdp_enabled,
        "cudnn": torch.backends.cuda.cudnn_sdp_enabled,
        "math": torch.backends.cuda.math_sdp_enabled,
    }
    before = {name: check() for name, check in enabled.items()}
    with attention_mode(kernel)():
        assert {name for name, check in enabled.items() if check()} == {kernel}
    assert {name: check() for name, check in enabled.items()} == before


def test_attention_without_a_kernel_asked_for_is_torchs_own_choice():
    before = torch.backends.cuda.flash_sdp_enabled(), torch.backends.cuda.math_sdp_enabled()
    with attention_mode("auto")():
        assert (torch.backends.cuda.flash_sdp_enabled(), torch.backends.cuda.math_sdp_enabled()) == before
