"""Components compiled by torch, with back ends that need no compiler, and once with inductor."""

import copy
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch._inductor.runtime.cache_dir_utils import default_cache_dir

from latentry_compile import register_optimizers
from latentry_compile.regions import repeated_blocks
from latentry_compile.suites import TestCompile  # noqa: F401
from latentry_sdk import Component, Device, Footprint, Host, Memory, Request, Unavailable, Undo, Work
from latentry_sdk.testing.fingerprints import changes, fingerprint
from latentry_sdk.testing.parts import make_part
from latentry_sdk.torch_device import TorchDevice, TorchPlace

CLOSE = 1e-5
Seen = list[torch.fx.GraphModule]
(SPEC,) = register_optimizers()


def compile_component(component: Component, device: Device, **asked: object) -> tuple[Component, Undo]:
    """As the host does it: with all options."""
    return SPEC.apply(component, device, **dict(SPEC.options.model_validate(asked)))


@pytest.fixture
def device() -> TorchDevice:
    return TorchDevice(TorchPlace("cpu", "cpu", ("float32",), Memory, shared=True))


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Seen]:
    """A back end named "watched", which runs what it is given as it is, and keeps it."""
    graphs: Seen = []

    def watched(graph: torch.fx.GraphModule, _inputs: list[torch.Tensor]) -> object:
        graphs.append(graph)
        return graph.forward

    torch._dynamo.reset()
    torch._dynamo.register_backend(watched)
    yield graphs
    torch._dynamo.backends.registry._BACKENDS.pop("watched")
    torch._dynamo.backends.registry._COMPILER_FNS.pop("watched")
    torch._dynamo.reset()


@pytest.fixture(autouse=True)
def no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)


def answered(module: torch.nn.Module, arrays: tuple[torch.Tensor, ...]) -> torch.Tensor:
    with torch.inference_mode():
        found = module(*arrays)
    return found[0] if isinstance(found, tuple) else found


def error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    assert found.shape == wanted.shape
    return float((found - wanted).norm() / wanted.norm())


@pytest.mark.parametrize(
    ("backend", "blocks"), [("eager", True), ("watched", True), ("aot_eager", True), ("watched", False)]
)
def test_a_unet_compiled_by_a_named_back_end_gives_what_it_gave(
    device: TorchDevice, seen: Seen, backend: str, blocks: bool
) -> None:
    part = make_part("sd.unet")
    wanted = {size: answered(part.component.module, part.arguments(2, size)) for size in ((8, 8), (7, 9))}
    component, undo = compile_component(part.component, device, backend=backend, blocks=blocks)
    placed = device.place(component, None)
    for size, answer in wanted.items():
        with device.activate():
            assert error(placed(*part.arguments(2, size)), answer) < CLOSE
    assert bool(seen) is (backend == "watched")
    placed.close()
    undo()


@pytest.mark.parametrize("name", ["sd.text_encoder", "sdxl.unet", "sd.vae_decoder", "sd.vae_encoder"])
def test_every_kind_of_component_can_be_compiled(device: TorchDevice, seen: Seen, name: str) -> None:
    part = make_part(name)
    wanted = answered(part.component.module, part.component.example())
    component, undo = compile_component(part.component, device, backend="watched")
    placed = device.place(component, None)
    with device.activate():
        found = placed(*part.component.example())
    assert error(found[0] if isinstance(found, tuple) else found, wanted) < CLOSE
    assert seen
    undo()


class Halves:
    """An attention processor that attends to nothing."""

    def __call__(self, _attention, hidden_states, encoder_hidden_states=None, attention_mask=None):
        return hidden_states * 0.5


def replaced_processors(module: torch.nn.Module) -> None:
    module.model.set_attn_processor(Halves())


def scaled_skips(module: torch.nn.Module) -> None:
    module.model.enable_freeu(s1=0.9, s2=0.2, b1=1.5, b2=1.6)


def replaced_convolutions(module: torch.nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, torch.nn.Conv2d):
            part._conv_forward = lambda x, weight, bias, own=part._conv_forward: own(-x, weight, bias)


def hooked(module: torch.nn.Module) -> None:
    module.model.mid_block.register_forward_hook(lambda _module, _arrays, answer: answer * 2)


@pytest.mark.parametrize("blocks", [True, False], ids=["blocks", "whole"])
@pytest.mark.parametrize("change", [replaced_processors, scaled_skips, replaced_convolutions, hooked])
def test_a_stages_change_to_a_compiled_module_takes_effect(
    device: TorchDevice, seen: Seen, change: Callable[[torch.nn.Module], None], blocks: bool
) -> None:
    """torch looks at what it compiled, and compiles again what has changed."""
    part, plain = make_part("sd.unet"), make_part("sd.unet").component.module
    arrays = part.component.example()
    component, undo = compile_component(part.component, device, backend="watched", blocks=blocks)
    before = answered(component.module, arrays)
    for module in (component.module, plain):
        change(module)
    wanted = answered(plain, arrays)
    assert error(before, wanted) > 0.01
    assert error(answered(component.module, arrays), wanted) < CLOSE
    undo()


@pytest.mark.parametrize("blocks", [True, False], ids=["blocks", "whole"])
def test_the_undo_leaves_the_module_as_it_was(device: TorchDevice, seen: Seen, blocks: bool) -> None:
    part = make_part("sd.unet")
    module, arrays = part.component.module, part.component.example()
    answered(module, arrays)
    before = fingerprint(module)
    component, undo = compile_component(part.component, device, backend="watched", blocks=blocks)
    assert changes(before, fingerprint(module)) != []
    answered(component.module, arrays)
    undo()
    assert changes(before, fingerprint(module)) == []
    compiled = len(seen)
    answered(module, arrays)
    answered(module, part.arguments(1, (4, 4)))
    assert len(seen) == compiled


def test_blocks_are_those_that_diffusers_compiles() -> None:
    module = make_part("sd.unet").component.module
    model = module.model
    assert repeated_blocks(module)
    model.compile_repeated_blocks(backend="eager")
    theirs = [part for part in model.modules() if part._compiled_call_impl is not None]
    assert set(map(id, repeated_blocks(module))) == set(map(id, theirs))


def test_blocks_share_one_program(device: TorchDevice, seen: Seen) -> None:
    part = make_part("sd.unet")
    blocks = repeated_blocks(part.component.module)
    _, undo = compile_component(part.component, device, backend="watched")
    answered(part.component.module, part.component.example())
    widths = {block.attn1.to_q.in_features for block in blocks}
    assert 0 < len(seen) <= 2 * len(widths)  # one size of picture, then any
    undo()


def test_a_copy_elsewhere_compiles_itself_and_not_the_module_it_comes_from(
    device: TorchDevice, seen: Seen
) -> None:
    """Devices with memory of their own copy modules."""
    layer = torch.nn.Linear(3, 3)
    component = Component("unet", "torch", layer, lambda: (torch.ones(1, 3),), lambda: "linear")
    _, undo = compile_component(component, device, backend="watched")
    moved = copy.deepcopy(layer)
    with torch.no_grad():
        moved.weight.zero_()
        moved.bias.fill_(5)
    assert answered(moved, (torch.ones(1, 3),)).tolist() == [[5.0] * 3]
    undo()
    assert answered(moved, (torch.ones(2, 3),)).tolist() == [[5.0] * 3] * 2
    assert seen


@pytest.mark.parametrize(("dynamic", "programs"), [("off", 3), ("on", 1), ("auto", 2)])
def test_dynamic_sizes_are_one_program_where_that_is_asked_for(
    device: TorchDevice, seen: Seen, dynamic: str, programs: int
) -> None:
    layer = torch.nn.Linear(3, 3)
    component = Component("unet", "torch", layer, lambda: (torch.ones(2, 3),), lambda: "linear")
    _, undo = compile_component(component, device, backend="watched", dynamic=dynamic)
    for rows in (2, 3, 4):
        answered(layer, (torch.ones(rows, 3),))
    assert len(seen) == programs
    undo()


def test_more_sizes_than_torchs_limit_are_all_compiled(device: TorchDevice, seen: Seen) -> None:
    """Its own limit is 8, after which it goes on without compiling and says so in a log."""
    layer = torch.nn.Linear(3, 3)
    component = Component("unet", "torch", layer, lambda: (torch.ones(2, 3),), lambda: "linear")
    _, undo = compile_component(component, device, backend="watched", dynamic="off")
    for rows in range(2, 14):
        answered(layer, (torch.ones(rows, 3),))
    assert len(seen) == 12
    undo()


def test_what_cannot_work_is_refused_and_nothing_is_changed(device: TorchDevice) -> None:
    class Converting:
        def place(self, component: Component, dtype: str | None) -> None: ...

    layer = torch.nn.Linear(3, 3)
    component = Component("unet", "torch", layer, lambda: (torch.ones(1, 3),), lambda: "linear")
    for asked, message in (
        ({"backend": "fast"}, "no back end 'fast'; use one of aot_eager"),
        ({"backend": "eager", "mode": "max-autotune"}, "eager knows no mode 'max-autotune'"),
    ):
        with pytest.raises(Unavailable, match=message):
            compile_component(component, device, **asked)
    with pytest.raises(Unavailable, match="its device converts it"):
        compile_component(component, Converting(), backend="eager")
    assert "forward" not in vars(layer)


def test_without_a_compiler_inductor_is_refused_and_another_back_end_named(
    device: TorchDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch._inductor import cpp_builder
    from torch._inductor.exc import InvalidCxxCompiler

    def none() -> str:
        raise InvalidCxxCompiler

    monkeypatch.setattr(cpp_builder, "get_cpp_compiler", none)
    component = Component(
        "unet", "torch", torch.nn.Linear(3, 3), lambda: (torch.ones(1, 3),), lambda: "linear"
    )
    with pytest.raises(Unavailable, match="no C\\+\\+ compiler; install g\\+\\+"):
        compile_component(component, device)


def test_the_environments_folder_for_programs_comes_first(
    device: TorchDevice, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    component = Component(
        "unet", "torch", torch.nn.Linear(3, 3), lambda: (torch.ones(1, 3),), lambda: "linear"
    )
    _, undo = compile_component(component, device, backend="eager", cache=tmp_path)
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path)
    undo()
    assert os.environ.get("TORCHINDUCTOR_CACHE_DIR") in (None, default_cache_dir())  # inductor's own choice
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "elsewhere")
    _, undo = compile_component(component, device, backend="eager", cache=tmp_path)
    undo()
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == "elsewhere"


def test_its_footprint_is_the_components() -> None:
    options = dict(SPEC.options())
    assert SPEC.parts == {"*"}
    assert SPEC.estimate(Footprint(3, 2, 1), Work("unet", (64, 64)), **options) == Footprint(3, 2, 1)


def test_a_job_asks_for_it_by_its_name_and_gives_the_same_picture() -> None:
    asked = Request(task="txt2img", prompt="a red apple", model="emoji", seed=1, steps=2, place={"*": "cpu"})
    compiled = asked.model_copy(
        update={"optimizers": ("unet=compile",), "options": {"compile": {"backend": "eager"}}}
    )
    with Host() as host:
        plain, found, again = (host.run(request) for request in (asked, compiled, asked))
    assert "compile" in str(found.applied)
    first, second, third = (
        np.asarray(result.artifacts[0].open().convert("RGB"), int) for result in (plain, found, again)
    )
    assert abs(first - second).max() <= 1
    assert (first == third).all()


INDUCTOR = """
import sys, torch
from pathlib import Path
from torch._dynamo.utils import counters
from latentry_compile import register_optimizers
from latentry_sdk.testing.here import HERE_SPEC
from latentry_sdk.testing.parts import make_part

device = HERE_SPEC.open(HERE_SPEC.options())
part = make_part("sd.unet")
arrays = part.component.example()
with torch.inference_mode():
    wanted = part.component.module(*arrays)
(spec,) = register_optimizers()
asked = dict(spec.options(cache=Path(sys.argv[1])))
component, undo = spec.apply(part.component, device, **asked)
placed = device.place(component, None)
with device.activate():
    found = placed(*arrays)
undo()
misses = counters["inductor"]["fxgraph_cache_miss"] + counters["aot_autograd"]["autograd_cache_miss"]
print(float((found - wanted).norm() / wanted.norm()), misses)
"""


@pytest.mark.slow
def test_inductor_gives_what_torch_gives_and_a_second_process_finds_its_programs(tmp_path: Path) -> None:
    folder = tmp_path / "inductor"
    results = []
    for _ in range(2):
        command = [sys.executable, "-W", "ignore", "-c", INDUCTOR, str(folder)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        results.append([float(word) for word in done.stdout.split()[-2:]])
    assert all(off < CLOSE for off, _ in results)
    assert results[0][1] > 0 == results[1][1]
    assert any(folder.iterdir())
