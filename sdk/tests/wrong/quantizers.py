"""Quantizers that break one promise each; `fails` is the one test of the suite that must tell."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import pytest
import torch

from latentry_sdk import Component, QuantizerSpec
from latentry_sdk.quantizing import Codec, quantized
from latentry_sdk.testing import QuantizerSuite

Kept = Mapping[str, torch.Tensor]


def pack(weight: torch.Tensor, top: int = 127) -> Kept:
    """One scale a row."""
    scale = weight.abs().amax(dim=tuple(range(1, weight.dim())), keepdim=True) / top
    return {"weight": (weight / scale).round().to(torch.int8), "weight.scale": scale}


def unpack(kept: Kept, _shape: tuple[int, ...], dtype: Any) -> torch.Tensor:
    return kept["weight"].to(dtype) * kept["weight.scale"].to(dtype)


RIGHT = Codec(pack, unpack)


def apply(component: Component, scheme: str) -> Component:
    return quantized(component, RIGHT, f"right:{scheme}")


class Wrong(QuantizerSuite):
    """A suite whose quantizer has the class's own `apply`, and declares its `bits`."""

    fails: ClassVar[str] = ""
    bits: ClassVar[float] = 8.5

    @pytest.fixture
    def spec(self) -> QuantizerSpec:
        change = vars(type(self)).get("apply", apply)
        return QuantizerSpec(
            "wrong", ("int8",), frozenset({"unet"}), change, bits={"int8": self.bits}, errors={"int8": 0.02}
        )


def with_module(component: Component, kind: type[torch.nn.Module]) -> Component:
    """The quantized component inside of another module."""
    return replace(component, module=kind(component.module).eval())


class Around(torch.nn.Module):
    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, *arrays: Any) -> Any:
        return self.inner(*arrays)

    def state_dict(self, *args: Any, **more: Any) -> Any:
        return self.inner.state_dict(*args, **more)


class TestRight(Wrong):
    """Eight bits with a scale a row break no promise."""


class TestTooCoarse(Wrong):
    fails = "test_results_stay_within_its_errors"

    @staticmethod
    def apply(component: Component, scheme: str) -> Component:
        return quantized(component, Codec(lambda weight: pack(weight, 7), unpack), scheme)


class TestLosesALayer(Wrong):
    fails = "test_results_stay_within_its_errors"

    @staticmethod
    def apply(component: Component, scheme: str) -> Component:
        lost = [(layer.out_features, layer.in_features) for layer in component.module.modules()
                if isinstance(layer, torch.nn.Linear)][-1]  # fmt: skip

        def forgetful(kept: Kept, shape: tuple[int, ...], dtype: Any) -> torch.Tensor:
            return unpack(kept, shape, dtype) * (0 if shape == lost else 1)

        return quantized(component, Codec(pack, forgetful), scheme)


class TestFixedToOneBatch(Wrong):
    fails = "test_other_batches_and_odd_sizes_are_done"

    @staticmethod
    def apply(component: Component, scheme: str) -> Component:
        class Fixed(Around):
            def forward(self, *arrays: Any) -> Any:
                if len(arrays[0]) == 3:
                    raise ValueError("it was packed for another batch")
                return super().forward(*arrays)

        return with_module(apply(component, scheme), Fixed)


class TestCannotBePlaced(Wrong):
    fails = "test_a_device_runs_it"

    @staticmethod
    def apply(component: Component, scheme: str) -> Component:
        class Fixed(Around):
            def to(self, *_: Any, **__: Any) -> Any:
                raise ValueError("a quantized model cannot be moved")

        return with_module(apply(component, scheme), Fixed)


class TestKeepsTheWeights(Wrong):
    fails = "test_it_takes_the_room_that_it_declares"

    @staticmethod
    def apply(component: Component, scheme: str) -> Component:
        def rounded(weight: torch.Tensor) -> Kept:
            return {"weight": unpack(pack(weight), tuple(weight.shape), weight.dtype)}

        return quantized(component, Codec(rounded, lambda kept, *_: kept["weight"]), scheme)


class TestDeclaresTooFewBits(Wrong):
    fails = "test_it_takes_the_room_that_it_declares"
    bits = 4.5


class TestForgetsItsScales(Wrong):
    fails = "test_what_is_saved_comes_back"

    @staticmethod
    def apply(component: Component, scheme: str) -> Component:
        def adopt(kept: Kept, _shape: tuple[int, ...]) -> Kept:
            return {**kept, "weight.scale": kept["weight.scale"].bfloat16().float()}

        return quantized(component, Codec(pack, unpack, adopt), scheme)


class TestChangesTheGivenOne(Wrong):
    fails = "test_the_given_component_is_left_as_it_was"

    @staticmethod
    def apply(component: Component, scheme: str) -> Component:
        found = apply(component, scheme)
        component.module.register_forward_hook(lambda *_: None)
        return found


class TestKeepsTheDigest(Wrong):
    fails = "test_digests_tell_schemes_apart"

    @staticmethod
    def apply(component: Component, scheme: str) -> Component:
        return replace(apply(component, scheme), digest=component.digest)


class TestRenames(Wrong):
    fails = "test_the_component_keeps_its_name"

    @staticmethod
    def apply(component: Component, scheme: str) -> Component:
        return replace(apply(component, scheme), kind="quantized")
