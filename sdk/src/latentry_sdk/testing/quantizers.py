"""What a quantizer must do: keep the results near, take less room, and come back from a disk."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from latentry.discovery import clash
from latentry_sdk import Component, DeviceSpec, Options, QuantizerSpec, Unavailable
from latentry_sdk.testing.closeness import identical, relative
from latentry_sdk.testing.fingerprints import changes, fingerprint
from latentry_sdk.testing.here import HERE_SPEC
from latentry_sdk.testing.parts import Part, kinds, make_part
from latentry_sdk.testing.tiny import SEED

NARROW, WIDE = 0.35, 0.05
"""The errors that are promised where a scheme declares none: below 8 bits, and from there on."""

ROOM = 1.15
"""How much more than the declared bits a component may take, for what is not a weight of a layer."""

SHAPES = ((1, (8, 8)), (3, (7, 9)))
GROSS = 1.0
"""A difference as large as the result itself."""

SAME = 1e-5
Cases = Sequence[tuple[str, Part, Component]]


class QuantizerSuite:
    """Subclass this and override the fixture `spec`.

    `layout` is that of the components it is tried on; `device` the one that runs them: schemes that
    declare other devices alone are left out.
    """

    layout: str = "wide"
    device: DeviceSpec = HERE_SPEC
    place: str = "cpu"

    @pytest.fixture
    def spec(self) -> QuantizerSpec:
        """The quantizer under test."""
        raise NotImplementedError("override the fixture `spec`")

    @pytest.fixture
    def schemes(self, spec: QuantizerSpec) -> Sequence[str]:
        """The schemes that run here; skips where there are none, or something is not installed."""
        if missing := next(filter(None, map(clash, spec.requires)), None):
            pytest.skip(missing)
        if not kinds(spec.parts):
            pytest.skip("it names no component of Stable Diffusion")
        declared = [name for name in spec.schemes if self.place in spec.devices.get(name, {self.place})]
        found = [name for name in declared if self.can(spec, name)]
        if not found:
            pytest.skip(f"no scheme runs on {self.place}")
        return found

    def can(self, spec: QuantizerSpec, scheme: str) -> bool:
        """Whether a scheme quantizes what is loaded: some take what is stored so alone."""
        try:
            spec.apply(make_part(f"{self.layout}.{kinds(spec.parts)[0]}").component, scheme)
        except Unavailable:
            return False
        return True

    def parts(self, spec: QuantizerSpec) -> Sequence[Part]:
        """A component of each kind that it names, made anew and called once."""
        made = [make_part(f"{self.layout}.{kind}") for kind in kinds(spec.parts)]
        for part in made:
            part.component.module(*part.component.example())
        return made

    @pytest.fixture
    def cases(self, spec: QuantizerSpec, schemes: Sequence[str]) -> Cases:
        """Each scheme with each component, as it was and quantized."""
        return [
            (scheme, part, spec.apply(part.component, scheme))
            for scheme in schemes
            for part in self.parts(spec)
        ]

    def test_results_stay_within_its_errors(self, spec: QuantizerSpec, cases: Cases) -> None:
        """Of those in float32, in L2."""
        for scheme, part, found in cases:
            arguments, allowed = part.component.example(), promised(spec, scheme)
            off = relative(found.module(*arguments), part.component.module(*arguments))
            assert off <= allowed, f"{scheme} of {found.name} is off by {off:.2g}, declared {allowed:.2g}"

    def test_other_batches_and_odd_sizes_are_done(self, cases: Cases) -> None:
        """With results like those in float32."""
        for scheme, part, found in cases:
            for batch, size in SHAPES:
                arguments = part.arguments(batch, size)
                off = relative(found.module(*arguments), part.component.module(*arguments))
                assert off < GROSS, f"{scheme} of {found.name}, {batch} of {size}"

    def test_a_device_runs_it(self, cases: Cases) -> None:
        """Placed in float32 it gives what its module gives."""
        device = self.device.open(Options())
        for scheme, part, found in cases:
            arguments = part.component.example()
            wanted = found.module(*arguments)
            placed = device.place(found, "float32")
            with device.activate():
                assert relative(placed(*arguments), wanted) <= SAME, f"{scheme} of {found.name}"
            placed.close()

    def test_it_takes_the_room_that_it_declares(self, spec: QuantizerSpec, cases: Cases) -> None:
        """For the weights that it packs; where it declares none, less than 32 bits a weight."""
        for scheme, part, found in cases:
            bits = bits_a_weight(part.component, found)
            declared = spec.bits.get(scheme, 32 / ROOM)
            assert bits <= ROOM * declared, f"{scheme} of {found.name}: {bits:.1f} bits, not {declared:.1f}"

    def test_what_is_saved_comes_back(self, spec: QuantizerSpec, cases: Cases, tmp_path: Path) -> None:
        """From a file of safetensors, bit for bit, into a component without weights."""
        for scheme, part, found in cases:
            other = make_part(f"{self.layout}.{found.name}", seed=SEED + 1).component
            back = spec.apply(stored(other, found, tmp_path / f"{scheme}.safetensors"), scheme)
            arguments = part.component.example()
            assert identical(back.module(*arguments), found.module(*arguments)), f"{scheme} of {found.name}"

    def test_the_given_component_is_left_as_it_was(self, spec: QuantizerSpec, schemes: Sequence[str]) -> None:
        """To the bit, with its hooks and attributes: it may be placed beside the quantized one."""
        for scheme in schemes:
            for part in self.parts(spec):
                before = fingerprint(part.component.module)
                found = spec.apply(part.component, scheme)
                found.module(*part.component.example())
                left = changes(before, fingerprint(part.component.module))
                assert not left, f"changed: {left[:5]}"

    def test_digests_tell_schemes_apart(self, spec: QuantizerSpec, cases: Cases) -> None:
        """And from the component as it was, but not one time from another."""
        found = [quantized.digest() for _, _, quantized in cases]
        plain = {part.component.digest() for _, part, _ in cases}
        assert len({*found, *plain}) == len(found) + len(plain), "two have the same digest"
        scheme, part, _ = cases[0]
        assert spec.apply(part.component, scheme).digest() == found[0]

    def test_the_component_keeps_its_name(self, cases: Cases) -> None:
        """And its kind, by which it is placed."""
        for _, part, found in cases:
            assert (found.name, found.kind) == (part.component.name, part.component.kind)


def bits_a_weight(component: Component, quantized: Component) -> float:
    """What a weight takes, of those that a quantizer did not leave as they were; 32 if it left all."""
    plain, packed = component.module.state_dict(), quantized.module.state_dict()

    def same(name: str) -> bool:
        left, right = plain.get(name), packed.get(name)
        return (
            left is not None and right is not None and (left.shape, left.dtype) == (right.shape, right.dtype)
        )

    weights = sum(tensor.numel() for name, tensor in plain.items() if not same(name))
    taken = sum(tensor.nbytes for name, tensor in packed.items() if not same(name))
    return 8 * taken / weights if weights else 32.0


def promised(spec: QuantizerSpec, scheme: str) -> float:
    """The error that a scheme promises not to exceed."""
    return spec.errors.get(scheme, NARROW if spec.bits.get(scheme, 8) < 8 else WIDE)


def stored(component: Component, quantized: Component, path: Path) -> Component:
    """The component without weights, and with those of a quantized one as they lie in a file."""
    from safetensors.torch import load_file, save_file

    from latentry_sdk.quantizing import unfilled

    save_file({name: each.contiguous() for name, each in quantized.module.state_dict().items()}, path)
    tensors = load_file(path)
    return replace(component, module=unfilled(component.module, tensors), stored=lambda: tensors)
