"""The processor as a device: precision, order, threads, and leaving the loaded weights alone."""

import pytest
import torch

import latentry_cpu
from latentry_cpu import CpuOptions, open_cpu, probe
from latentry_cpu import device as device_module
from latentry_sdk import Component, PluginError, Unavailable
from latentry_sdk.testing import DeviceSuite, heavy_imports


class Block(torch.nn.Module):
    """A convolution that also hands back how far it is along."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, sample, timestep):
        assert sample.dtype == self.conv.weight.dtype
        return self.conv(sample), timestep


def component(module=None, *, managed=False):
    module = module or Block()
    example = lambda: (torch.randn(1, 4, 8, 8), torch.tensor([3.0]))  # noqa: E731
    return Component("unet", "torch", module, example, lambda: "digest", managed)


@pytest.fixture
def cpu():
    return open_cpu(CpuOptions())


@pytest.fixture
def with_bfloat16(monkeypatch):
    monkeypatch.setattr(device_module, "has_bfloat16", lambda: True)


def test_the_plugin_registers_the_device_and_opens_it_with_its_options():
    (spec,) = latentry_cpu.register_devices()
    assert (spec.name, spec.kinds) == ("cpu", frozenset({"torch"}))
    spec.open(spec.options(threads=1)).close()


def test_probing_and_loading_import_no_torch():
    assert not heavy_imports("import latentry_cpu; latentry_cpu.probe(); latentry_cpu.register_devices()")


def test_the_probe_tells_of_memory_dtypes_and_rank():
    report = probe()
    assert report.rank == 10
    assert report.dtypes == ("float32", "bfloat16")
    assert report.memory.total > report.memory.free > 0
    assert torch.__version__.split("+")[0] in report.detail


def test_without_torch_the_probe_says_what_to_install(monkeypatch):
    monkeypatch.setattr("latentry_cpu.probing.find_spec", lambda name: None)
    report = probe()
    assert not report.available
    assert report.fix == "pip install torch"


def test_a_placed_module_answers_as_torch_does_without_gradients(cpu):
    part = component()
    arrays = part.example()
    with cpu.activate():
        answer, timestep = cpu.place(part, None)(*arrays)
    assert torch.equal(answer, part.module(*arrays)[0])
    assert torch.equal(timestep, arrays[1])
    assert not answer.requires_grad
    assert not part.module.training


def test_half_precision_weights_are_widened(cpu):
    placed = cpu.place(component(Block().half()), None)
    assert placed.dtype == "float32"
    assert placed.home == "cpu"


def test_a_narrower_type_is_a_copy_and_float32_comes_back_exactly(cpu, with_bfloat16):
    part = component()
    exact = part.module.conv.weight.detach().clone()
    placed = cpu.place(part, "bfloat16")
    assert placed.dtype == "bfloat16"
    assert torch.equal(part.module.conv.weight, exact)
    assert cpu.place(part, "float32").dtype == "float32"


def test_a_narrower_type_gives_the_callers_type_and_keeps_the_timestep_exact(cpu, with_bfloat16):
    answer, timestep = cpu.place(component(), "bfloat16")(torch.randn(1, 4, 8, 8), torch.tensor([321.5]))
    assert answer.dtype == torch.float32
    assert timestep.item() == 321.5


def test_tied_weights_stay_tied_in_a_copy(cpu, with_bfloat16):
    module = torch.nn.ModuleList([torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)])
    module[1].weight = module[0].weight
    copied = cpu.place(component(module), "bfloat16")._module
    assert copied[1].weight is copied[0].weight


def test_bfloat16_on_a_processor_without_it_is_refused_with_a_fix(cpu, monkeypatch):
    monkeypatch.setattr(device_module, "has_bfloat16", lambda: False)
    with pytest.raises(Unavailable, match="300 times slower; choose float32"):
        cpu.place(component(), "bfloat16")


def test_an_unknown_dtype_is_refused_with_the_legal_ones(cpu):
    with pytest.raises(Unavailable, match="'float12'; choose one of float32, bfloat16"):
        cpu.place(component(), "float12")


def test_the_processor_is_asked_for_bfloat16():
    assert device_module.has_bfloat16() == torch.ops.mkldnn._is_mkldnn_bf16_supported()


def test_managed_weights_are_left_as_they_are(cpu):
    module = Block().half()
    cpu.place(component(module, managed=True), None)
    assert module.conv.weight.dtype == torch.float16


@pytest.mark.parametrize("channels_last", [True, False])
def test_channels_last_changes_the_order_and_not_the_answer(channels_last):
    part = component()
    arrays = part.example()
    expected = part.module(*arrays)[0]
    placed = open_cpu(CpuOptions(channels_last=channels_last)).place(part, None)
    assert part.module.conv.weight.is_contiguous(memory_format=torch.channels_last) is channels_last
    torch.testing.assert_close(placed(*arrays)[0], expected)


def test_activate_sets_threads_and_inference_mode_and_puts_both_back():
    before = torch.get_num_threads()
    seen = []

    def fail_inside():
        with open_cpu(CpuOptions(threads=before + 1)).activate():
            seen.extend([torch.get_num_threads(), torch.is_inference_mode_enabled()])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_inside()
    assert seen == [before + 1, True]
    assert torch.get_num_threads() == before
    assert not torch.is_inference_mode_enabled()


def test_closing_twice_is_fine_and_a_closed_module_says_so(cpu):
    placed = cpu.place(component(), None)
    placed.close()
    placed.close()
    cpu.close()
    cpu.close()
    with pytest.raises(PluginError, match="closed"):
        placed(torch.zeros(1, 4, 2, 2), torch.zeros(1))


def test_integer_arguments_stay_integers(cpu):
    module = torch.nn.Embedding(5, 3)
    answer = cpu.place(component(module), None)(torch.tensor([[1, 2]]))
    assert answer.dtype == torch.float32


def test_memory_is_told(cpu):
    assert cpu.memory().free > 0


class TestConformance(DeviceSuite):
    """The kit's own questions."""

    @pytest.fixture
    def spec(self):
        return latentry_cpu.register_devices()[0]
