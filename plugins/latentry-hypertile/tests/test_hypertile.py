"""Attention in tiles: really done on both layouts, and undone."""

import pytest
import torch

from latentry_hypertile import HyperTileOptions, register_optimizers
from latentry_hypertile.tiles import around, pieces
from latentry_sdk import DeviceSpec
from latentry_sdk.testing import OptimizerSuite
from latentry_sdk.testing.here import HERE_SPEC

SPEC = register_optimizers()[0]


@pytest.mark.parametrize(
    ("side", "least", "count"),
    [(64, 32, 2), (64, 16, 4), (64, 33, 1), (48, 10, 4), (7, 2, 1), (9, 2, 3), (8, 8, 1)],
)
def test_a_side_is_cut_into_as_many_equal_pieces_as_its_divisors_allow(side, least, count):
    assert pieces(side, least) == count
    assert side % count == 0


@pytest.mark.parametrize(("size", "least"), [((8, 8), 4), ((6, 10), 3), ((5, 7), 2), ((12, 4), 4)])
def test_each_tile_is_attended_to_alone(size, least):
    """Against cutting by slices: the mean of a tile's tokens in each place of it."""
    height, width = size
    tokens = torch.randn(2, height * width, 3)
    found = around(tokens, size, lambda x: x.mean(1, keepdim=True).expand_as(x), least=least)
    expected = tokens.reshape(2, height, width, 3).clone()
    down, across = height // pieces(height, least), width // pieces(width, least)
    for top in range(0, height, down):
        for start in range(0, width, across):
            tile = expected[:, top : top + down, start : start + across]
            tile.copy_(tile.mean((1, 2), keepdim=True).expand_as(tile))
    torch.testing.assert_close(found, expected.reshape(2, -1, 3))


class TestSuite(OptimizerSuite):
    """The kit's own questions."""

    options = HyperTileOptions(tile=4, levels=1).model_dump()

    def devices(self) -> "list[DeviceSpec]":
        return [HERE_SPEC]

    @pytest.fixture
    def spec(self):
        return SPEC
