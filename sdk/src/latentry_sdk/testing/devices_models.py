"""What a device of torch modules must do with every component of Stable Diffusion 1 and XL."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest

from latentry_sdk import Component, Device, DeviceSpec, Placed, Unavailable
from latentry_sdk.testing.devices import GROSS, DeviceContract, distance
from latentry_sdk.testing.fingerprints import changes, fingerprint
from latentry_sdk.testing.parts import PARTS, Part, make_part

if TYPE_CHECKING:
    from torch import Tensor

BATCHES = (1, 3)
SIZES = ((7, 9), (8, 5), (12, 10))
"""Heights and widths of latents: odd in both, in one, and another even one."""


class Models(DeviceContract):
    """Tests that take each of `parts` in turn; a part that the device refuses is skipped in all but one."""

    parts: Sequence[str] = PARTS

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """A test for each part, where a test takes one."""
        if "part" in metafunc.fixturenames:
            metafunc.parametrize("part", self.parts, indirect=True)

    @pytest.fixture
    def part(self, request: pytest.FixtureRequest) -> Part:
        """A component of a tiny model, made anew."""
        return make_part(request.param)

    @pytest.fixture
    def component(self) -> Component:
        """The component for what needs to be asked of one alone."""
        return make_part("sd.vae_decoder").component

    def near(self, placed: Placed) -> float:
        """Not far: how near it is, a test of its own measures for every part."""
        return max(GROSS, self.bounds[placed.dtype])

    def test_every_part_can_be_placed(self, device: Device, part: Part) -> None:
        """Text encoders, UNets, and both halves of the VAE."""
        device.place(part.component, self.dtype).close()

    def test_every_part_is_within_its_bound(self, spec: DeviceSpec, device: Device, part: Part) -> None:
        """Of float64 on the processor, in every dtype that can be placed."""
        wanted = exact(part.component, part.component.example())
        for dtype in spec.probe().dtypes:
            try:
                placed = device.place(part.component, dtype)
            except Unavailable:
                continue
            with device.activate():
                found = distance(placed(*part.component.example()), wanted)
            placed.close()
            assert found <= self.bounds[dtype], (
                f"{dtype} is off by {found:.2g}, declared {self.bounds[dtype]}"
            )

    def test_other_batches_are_done(self, device: Device, part: Part) -> None:
        """A component takes more or fewer pictures than its example has."""
        placed = place(device, part.component, self.dtype)
        for batch in BATCHES:
            self.check(device, placed, part, part.arguments(batch, (8, 8)))

    def test_odd_sizes_are_done(self, device: Device, part: Part) -> None:
        """A component takes pictures whose sides are odd, or differ."""
        if not part.spatial:
            pytest.skip("it takes no picture")
        placed = place(device, part.component, self.dtype)
        for size in SIZES:
            self.check(device, placed, part, part.arguments(2, size))

    def test_the_module_is_left_as_it_was(self, device: Device, part: Part) -> None:
        """To the bit, with its hooks and attributes, once what was placed is closed."""
        module = part.component.module
        module(*part.component.example())  # some models of transformers set themselves up at their first call
        before = fingerprint(module)
        placed = place(device, part.component, self.dtype)
        with device.activate():
            placed(*part.component.example())
        placed.close()
        left = changes(before, fingerprint(module))
        assert not left, f"changed: {left[:5]}"

    def test_arguments_are_left_as_they_are(self, device: Device, part: Part) -> None:
        """No result is written over them."""
        arguments = part.component.example()
        before = [argument.clone() for argument in arguments]
        placed = place(device, part.component, self.dtype)
        with device.activate():
            placed(*arguments)
        placed.close()
        assert all(bool((a == b).all()) for a, b in zip(before, arguments, strict=True))

    def test_results_have_the_type_of_the_first_floating_argument(self, device: Device, part: Part) -> None:
        """Whatever the component is computed in."""
        import torch

        if not part.spatial:
            pytest.skip("it takes no floating argument")
        placed = place(device, part.component, self.dtype)
        for dtype in (torch.float32, torch.float64, torch.bfloat16):
            first, *others = part.component.example()
            with device.activate():
                assert placed(first.to(dtype), *others).dtype == dtype
        placed.close()

    def check(self, device: Device, placed: Placed, part: Part, arguments: "tuple[Tensor, ...]") -> None:
        """That a placed component computes these arguments, and not others."""
        wanted, shapes = exact(part.component, arguments), [tuple(array.shape) for array in arguments]
        with device.activate():
            off = distance(placed(*arguments), wanted)
        assert off <= self.near(placed), f"for {shapes} it is off by {off:.2g}"


def place(device: Device, component: Component, dtype: str | None) -> Placed:
    """The component on the device; skips where the device refuses it, which another test tells."""
    try:
        return device.place(component, dtype)
    except Unavailable as exc:
        pytest.skip(str(exc))


def exact(component: Component, arguments: Sequence["Tensor"]) -> Any:
    """What a component's module gives in float64 on the processor."""
    from copy import deepcopy

    import torch

    with torch.inference_mode():
        wide = deepcopy(component.module).double()
        return wide(*(each.double() if each.is_floating_point() else each for each in arguments))
