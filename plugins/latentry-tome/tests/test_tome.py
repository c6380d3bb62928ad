"""Token merging: as tomesd does it, really done on both layouts, and undone."""

import pytest
import torch

from latentry_sdk import DeviceSpec
from latentry_sdk.testing import OptimizerSuite
from latentry_sdk.testing.here import HERE_SPEC
from latentry_tome import TomeOptions, register_optimizers
from latentry_tome.merging import around

SPEC = register_optimizers()[0]


@pytest.mark.parametrize("size", [(8, 8), (6, 10)])
@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.75])
def test_tokens_are_merged_and_handed_back_as_tomesd_does_it(size, ratio):
    tomesd = pytest.importorskip("tomesd.merge")
    tokens = torch.randn(2, size[0] * size[1], 12)
    count = int(tokens.shape[1] * ratio)
    theirs, back = tomesd.bipartite_soft_matching_random2d(
        tokens, size[1], size[0], 2, 2, count, no_rand=True
    )

    def attend(x):
        return torch.softmax(x @ x.mT, dim=-1) @ x.tanh()

    found = around(tokens, size, attend, ratio=ratio)
    torch.testing.assert_close(found, back(attend(theirs(tokens))))


def test_nothing_is_merged_at_a_ratio_of_nothing():
    tokens = torch.randn(1, 16, 4)
    assert torch.equal(around(tokens, (4, 4), lambda x: x * 2, ratio=0), tokens * 2)


@pytest.mark.parametrize("size", [(5, 7), (1, 9), (9, 2)])
def test_odd_sizes_keep_every_tokens_place(size):
    """Attention that gives back what it gets changes merged tokens alone."""
    tokens = torch.randn(2, size[0] * size[1], 8)
    found = around(tokens, size, lambda x: x, ratio=0.5)
    assert found.shape == tokens.shape
    same = (found == tokens).all(-1).float().mean()
    assert same >= 0.2 or size[0] == 1


class TestSuite(OptimizerSuite):
    """The kit's own questions."""

    options = TomeOptions().model_dump()

    def devices(self) -> "list[DeviceSpec]":
        return [HERE_SPEC]

    @pytest.fixture
    def spec(self):
        return SPEC
