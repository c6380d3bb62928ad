"""Deep features that are used again: when, of which image, with which numbers, and how that ends."""

import pytest
import torch

from latentry_deepcache import DeepCacheOptions, register_optimizers, reuse, run_stage
from latentry_deepcache.features import forget
from latentry_sdk import JOB, PLACED, DeviceSpec, Host, Job, Request, State, Unavailable
from latentry_sdk.testing import OptimizerSuite
from latentry_sdk.testing.here import HERE_SPEC
from latentry_sdk.testing.parts import make_part

SPEC = register_optimizers()[0]


def here():
    return HERE_SPEC.open(HERE_SPEC.options())


@pytest.fixture(params=["sd", "sdxl"])
def part(request):
    """A UNet of each layout."""
    return make_part(f"{request.param}.unet")


def at(part, timestep, *, seed=0, batch=1, size=(8, 8)):
    """Arguments with noise of their own."""
    _, _, *rest = part.arguments(batch, size)
    noise = torch.randn(batch, 4, *size, generator=torch.Generator().manual_seed(seed))
    return noise, torch.tensor([float(timestep)]), *rest


def middle_calls(module):
    """A list that grows with each run of the UNet's middle."""
    unet = next(part for part in module.modules() if hasattr(part, "mid_block"))
    calls = []
    unet.mid_block.resnets[0].register_forward_hook(lambda *_: calls.append(1))
    return calls


def by_hand(module, kept, later):
    """What a plain UNet gives for `later` where the inner levels' result is that for `kept`."""
    unet = next(part for part in module.modules() if hasattr(part, "mid_block"))
    block, found = unet.up_blocks[-2], []
    handle = block.register_forward_hook(lambda _, __, out: found.append(out))
    with torch.inference_mode():
        module(*kept)
        handle.remove()
        handle = block.register_forward_hook(lambda *_: found[0])
        answer = module(*later)
    handle.remove()
    return answer


def test_the_inner_levels_run_in_one_of_every_steps(part):
    calls = middle_calls(part.component.module)
    component, undo = reuse(part.component, here(), every=3, levels=1)
    with torch.inference_mode():
        for timestep in (900, 800, 700, 600, 500, 400, 300):
            component.module(*at(part, timestep))
    assert len(calls) == 3
    undo()
    with torch.inference_mode():
        component.module(*at(part, 200))
    assert len(calls) == 4


def test_a_step_by_kept_features_has_the_numbers_of_a_unet_with_these_features(part):
    first, later = at(part, 900, seed=1), at(part, 850, seed=2)
    expected = by_hand(part.component.module, first, later)
    component, _ = reuse(part.component, here(), every=2, levels=1)
    with torch.inference_mode():
        component.module(*first)
        found = component.module(*later)
    assert torch.equal(found, expected)
    with torch.inference_mode():
        plain = make_part(f"{'sdxl' if len(first) > 3 else 'sd'}.unet").component.module(*later)
    assert not torch.equal(found, plain)


def test_images_in_turn_have_features_of_their_own(part):
    pictures = [(at(part, 900, seed=seed), at(part, 850, seed=seed + 10)) for seed in (1, 2)]
    expected = [by_hand(part.component.module, *pair) for pair in pictures]
    component, _ = reuse(part.component, here(), every=2, levels=1)
    with torch.inference_mode():
        for first, _ in pictures:
            component.module(*first)
        found = [component.module(*later) for _, later in pictures]
    assert all(map(torch.equal, found, expected))


def test_a_new_start_another_size_and_a_stage_begin_anew(part):
    plain = make_part(f"{'sdxl' if len(part.component.example()) > 3 else 'sd'}.unet").component.module
    device = here()
    component, _ = reuse(part.component, device, every=2, levels=1)
    placed = device.place(component, None)

    def check(arguments):
        with torch.inference_mode():
            assert torch.equal(placed(*arguments), plain(*arguments))

    check(at(part, 500))
    check(at(part, 900, seed=1))  # a later timestep: another picture
    check(at(part, 850, seed=2, size=(6, 8)))
    check(at(part, 900, seed=3))
    forget(placed.module)
    check(at(part, 850, seed=4))


def test_the_undo_leaves_nothing(part):
    module = part.component.module
    arguments = at(part, 500)
    with torch.inference_mode():
        before = module(*arguments)
    _, undo = reuse(part.component, here(), every=2, levels=1)
    undo()
    assert not any("forward" in vars(each) for each in module.modules())
    with torch.inference_mode():
        assert torch.equal(module(*arguments), before)


def test_what_it_cannot_do_is_refused(part):
    with pytest.raises(Unavailable, match="its device converts it"):
        reuse(part.component, object(), every=2, levels=1)
    with pytest.raises(Unavailable, match="no levels within the outer 2"):
        reuse(part.component, here(), every=2, levels=2)
    reuse(part.component, here(), every=2, levels=1)
    with pytest.raises(Unavailable, match="another optimizer"):
        reuse(part.component, here(), every=2, levels=1)


def test_jobs_of_a_host_are_equal_whatever_ran_before():
    asked = Request(task="txt2img", prompt="a red apple", steps=4, seed=1, optimizers=("deepcache",))
    with Host() as host:

        def pixels(**changes):
            return host.run(asked.model_copy(update=changes)).artifacts[0].open().tobytes()

        first = pixels()
        pixels(seed=5, steps=3)
        assert pixels() == first
        assert pixels(optimizers=()) != first
        assert pixels(batch=2) == first


def test_a_job_without_it_leaves_the_unet_alone():
    """To take a placed component's module is to say that it may change: recorded calls are not used then."""

    class Untouchable:
        @property
        def module(self):
            raise AssertionError("the module was taken")

    with Host() as host:
        job = Job("one", host.plan(Request(task="txt2img", prompt="a red apple")), lambda _event: None)
        stage = next(stage for stage in job.plan.stages if stage.name == "sample")
        state = State().put(JOB, job).put(PLACED, {"unet": Untouchable()})
        wrapper = run_stage(stage, state)
        next(wrapper)
        with pytest.raises(StopIteration) as ended:
            wrapper.send(state)
    assert ended.value.value is state


class TestSuite(OptimizerSuite):
    """The kit's own questions, of first calls."""

    options = DeepCacheOptions().model_dump()

    def devices(self) -> "list[DeviceSpec]":
        return [HERE_SPEC]

    @pytest.fixture
    def spec(self):
        return SPEC
