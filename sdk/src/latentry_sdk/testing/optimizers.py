"""What an optimizer must do: keep the results, say what it takes, and leave nothing behind."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from latentry_sdk import Component, Device, DeviceSpec, Footprint, OptimizerSpec, Placed, Unavailable, Work
from latentry_sdk.testing.accelerator import fake_device
from latentry_sdk.testing.closeness import identical, relative
from latentry_sdk.testing.fingerprints import changes, fingerprint
from latentry_sdk.testing.here import HERE_SPEC
from latentry_sdk.testing.optimizers_memory import Account
from latentry_sdk.testing.parts import Part, kinds, make_part
from latentry_sdk.torch_blocks import largest_block

NEAR = 0.15
"""How far an estimate may be from what is measured, of what is measured."""

ODD = ((1, (7, 9)), (3, (8, 5)))
"""Batches and sizes that halve unevenly."""


class OptimizerSuite:
    """Subclass this and override the fixture `spec`.

    Results are compared at latents of `size`; memory is counted on a pretend accelerator, for components of
    the layout "large" and latents of `measured`. `options` are those that differ from the optimizer's
    defaults: choose them so that it does its work at these sizes. Where it refuses the accelerator, the
    processor is taken, and memory is not counted.
    """

    size: tuple[int, int] = (16, 12)
    measured: tuple[int, int] = (64, 64)
    options: Mapping[str, Any] = {}

    @pytest.fixture
    def spec(self) -> OptimizerSpec:
        """The optimizer under test."""
        raise NotImplementedError("override the fixture `spec`")

    def devices(self) -> Sequence[DeviceSpec]:
        """The devices to try it on, the best to compare results on first."""
        fake = fake_device()
        return [*([fake] if fake.probe().available else []), HERE_SPEC]

    @pytest.fixture
    def opened(self, spec: OptimizerSpec) -> Iterator[Sequence[Device]]:
        """All of the devices that the optimizer takes; skips where it refuses each."""
        reasons = [] if kinds(spec.parts) else ["it names no component of Stable Diffusion"]
        with ExitStack() as closing:
            found = []
            for about in self.devices() if not reasons else ():
                device = about.open(about.options())
                closing.callback(device.close)
                if refusal := self.refusal(spec, device):
                    reasons.append(refusal)
                else:
                    found.append(device)
            if not found:
                pytest.skip("; ".join(reasons))
            yield found

    @pytest.fixture
    def device(self, opened: Sequence[Device]) -> Device:
        """The first device that the optimizer takes."""
        return opened[0]

    def refusal(self, spec: OptimizerSpec, device: Device) -> str | None:
        """Why the optimizer cannot be used on a device, as it says."""
        try:
            spec.apply(self.parts(spec)[0].component, device, **self.chosen(spec))[1]()
        except Unavailable as exc:
            return str(exc)
        return None

    def parts(self, spec: OptimizerSpec, layout: str = "sd") -> Sequence[Part]:
        """A component of each kind that it names, made anew and called once."""
        made = [make_part(f"{layout}.{kind}") for kind in kinds(spec.parts)]
        for part in made if layout == "sd" else ():
            part.component.module(*part.component.example())
        return made

    def chosen(self, spec: OptimizerSpec) -> Mapping[str, Any]:
        """All of the optimizer's options, with those of the suite."""
        return dict(spec.options.model_validate(dict(self.options)))

    @contextmanager
    def placed(self, spec: OptimizerSpec, component: Component, device: Device) -> Iterator[Placed]:
        """The component with the optimizer on the device, as the host places it and takes it away."""
        changed, undo = spec.apply(component, device, **self.chosen(spec))
        try:
            placed = device.place(changed, None)
            try:
                with device.activate():
                    yield placed
            finally:
                placed.close()
        finally:
            undo()

    def test_results_stay_within_its_error(self, spec: OptimizerSpec, device: Device) -> None:
        """Of those without it, in L2."""
        for part in self.parts(spec):
            arguments = part.arguments(2, self.size)
            wanted = part.component.module(*arguments)
            with self.placed(spec, part.component, device) as placed:
                off = relative(placed(*arguments), wanted)
            assert off <= spec.error, f"{part.component.name} is off by {off:.2g}, declared {spec.error:.2g}"

    def test_other_batches_and_odd_sizes_are_done(self, spec: OptimizerSpec, device: Device) -> None:
        """With results like those without it."""
        for part in self.parts(spec):
            for batch, size in ODD:
                arguments = part.arguments(batch, size)
                wanted = part.component.module(*arguments)
                with self.placed(spec, part.component, device) as placed:
                    found = placed(*arguments)
                assert relative(found, wanted) <= max(0.5, spec.error), f"{batch} of {size}"

    def test_the_component_keeps_its_name(self, spec: OptimizerSpec, device: Device) -> None:
        """And its kind, by which it is placed."""
        for part in self.parts(spec):
            changed, undo = spec.apply(part.component, device, **self.chosen(spec))
            undo()
            assert (changed.name, changed.kind) == (part.component.name, part.component.kind)

    def test_undo_leaves_the_component_as_it_was(self, spec: OptimizerSpec, opened: Sequence[Device]) -> None:
        """Weights, buffers, hooks, processors, attributes and results, to the bit."""
        for device, part in product(opened, self.parts(spec)):
            arguments, module = part.arguments(2, self.size), part.component.module
            wanted, before = module(*arguments), fingerprint(module)
            with self.placed(spec, part.component, device) as placed:
                placed(*arguments)
            assert changes(before, fingerprint(module)) == []
            assert identical(module(*arguments), wanted)

    def test_undo_follows_a_call_that_failed(self, spec: OptimizerSpec, opened: Sequence[Device]) -> None:
        """What a call changed for its own time is put back, however far the call came."""
        for device, part in product(opened, self.parts(spec)):
            arguments = part.arguments(2, self.size)
            with failing(part.component) as breaks:
                with self.placed(spec, part.component, device) as placed:
                    placed(*arguments)
                before = fingerprint(part.component.module)
                with suppress(ZeroDivisionError), self.placed(spec, part.component, device) as placed:
                    breaks.append(True)
                    placed(*arguments)
                assert changes(before, fingerprint(part.component.module)) == []

    def test_undo_may_be_called_twice(self, spec: OptimizerSpec, device: Device) -> None:
        """Once more than it is needed."""
        for part in self.parts(spec):
            undo = spec.apply(part.component, device, **self.chosen(spec))[1]
            undo()
            undo()

    def test_it_can_be_applied_again(self, spec: OptimizerSpec, device: Device) -> None:
        """After its undo, with the results that it gave before."""
        for part in self.parts(spec):
            arguments, found = part.arguments(2, self.size), []
            for _ in range(2):
                with self.placed(spec, part.component, device) as placed:
                    found.append(placed(*arguments))
            assert relative(found[1], found[0]) <= 1e-5

    def test_its_estimate_is_a_footprint(self, spec: OptimizerSpec) -> None:
        """Of whole bytes, for large and for small components."""
        for scale in (1, 10**6):
            before = Footprint(1000 * scale, 300 * scale, 100 * scale)
            after = spec.estimate(before, Work("unet", (64, 64)), **self.chosen(spec))
            assert isinstance(after, Footprint)
            counts = (after.kept, after.passing, after.largest)
            assert all(type(count) is int and count >= 0 for count in counts), after

    @pytest.fixture
    def account(self, spec: OptimizerSpec) -> Account:
        """The pretend accelerator; skips where it is not there, or the optimizer refuses it."""
        account = Account.opened()
        if account is None or not kinds(spec.parts):
            pytest.skip("there is no C++ compiler, or it names no component of Stable Diffusion")
        if refusal := self.refusal(spec, account.device):
            pytest.skip(refusal)
        return account

    def test_its_estimate_is_near_the_measured_peak(self, spec: OptimizerSpec, account: Account) -> None:
        """What it makes of the measured footprint without it."""
        for part in self.parts(spec, "large"):
            arguments, held = part.arguments(1, self.measured), account.now()
            plain = account.device.place(part.component, None)
            before = account.taken(plain, arguments, held)
            plain.close()
            del plain
            height, width = (side * part.factor for side in self.measured)
            told = spec.estimate(
                replace(before, largest=largest_block(part.component.module)),
                Work(part.component.name, (width, height)),
                **self.chosen(spec),
            )
            with self.placed(spec, part.component, account.device) as placed:
                found = account.taken(placed, arguments, held)
            off = peak(told) / peak(found) - 1
            assert abs(off) <= NEAR, f"{part.component.name}: {told} told, {found} measured, {off:+.0%}"

    def test_memory_is_given_back(self, spec: OptimizerSpec, account: Account) -> None:
        """All that was on the device is gone with the undo."""
        for part in self.parts(spec):
            before = account.now()
            with self.placed(spec, part.component, account.device) as placed:
                placed(*part.arguments(2, self.size))
            del placed
            assert account.now() == before


def peak(footprint: Footprint) -> int:
    """The most that a component takes."""
    return footprint.kept + footprint.passing


@contextmanager
def failing(component: Component) -> Iterator[list[bool]]:
    """While this lasts, a layer halfway through the component raises, once something is in the list."""
    leaves = [part for part in component.module.modules() if not [*part.children()] and [*part.parameters()]]
    breaks: list[bool] = []

    def check(*_: Any) -> None:
        if breaks:
            raise ZeroDivisionError

    handle = leaves[len(leaves) // 2].register_forward_hook(check)
    try:
        yield breaks
    finally:
        handle.remove()
