"""The suite that `compile` is held to, for `latentry check`."""

from collections.abc import Mapping, Sequence

import pytest

from latentry_compile import register_optimizers
from latentry_sdk import DeviceSpec, OptimizerSpec
from latentry_sdk.testing import OptimizerSuite
from latentry_sdk.testing.here import HERE_SPEC


@pytest.mark.slow
class TestCompile(OptimizerSuite):
    """The kit's own questions, with a back end that traces both ways and compiles nothing."""

    options: Mapping[str, object] = {"backend": "aot_eager"}

    @pytest.fixture
    def spec(self) -> OptimizerSpec:
        """The optimizer."""
        (spec,) = register_optimizers()
        return spec

    def devices(self) -> Sequence[DeviceSpec]:
        """The processor: torch's compiler does not know the pretend accelerator."""
        return [HERE_SPEC]

    @pytest.fixture
    def account(self) -> None:
        """Nothing counts memory where torch compiles without a GPU, so the estimate is not measured here."""
        pytest.skip("torch's compiler does not know the pretend accelerator, which counts memory")
