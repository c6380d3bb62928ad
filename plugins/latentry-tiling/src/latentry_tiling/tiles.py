"""Work on a picture in pieces that fit together without seams.

A piece is computed with its surroundings, as far as convolutions reach, and cut; what attends to the whole
picture is computed for the whole, at its smallest. Group norms would see their own piece alone, and make each
one lighter or darker than its neighbours; so all use the same statistics, of a small copy of the picture.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from threading import RLock
from typing import TYPE_CHECKING, Any

from latentry_tiling.halves import Half
from latentry_tiling.norms import given, group_norms, measured

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Span:
    """A piece along one side: its own part, what it is computed from, and the same in what is padded."""

    start: int
    stop: int
    low: int
    high: int

    @property
    def before(self) -> int:
        """How far its own part is in what it is computed from."""
        return self.start - self.low


class Tiled:
    """The forward of half a VAE, in pieces of `tile` pixels a side, `halo` of which a side are shared."""

    def __init__(self, half: Half, *, tile: int, halo: int) -> None:
        self._half, self._tile, self._halo = half, tile, halo
        self._lock = RLock()

    def __deepcopy__(self, memo: dict[int, Any]) -> "Tiled":
        """The same for a copy of the module."""
        from copy import deepcopy

        half = Half(deepcopy(self._half.module, memo), decodes=self._half.decodes)
        return Tiled(half, tile=self._tile, halo=self._halo)

    def __call__(self, values: "Tensor", _embeds: None = None) -> "Tensor":
        """The rows' results: (rows, channels, height, width)."""
        import torch

        with self._lock:
            return torch.cat([self._alone(row) for row in torch.split(values, 1)])

    def _alone(self, values: "Tensor") -> "Tensor":
        half = self._half
        found = half.first(values)
        unit = 1 if half.decodes else half.factor
        tile, halo = (max(side // half.factor, 1) * unit for side in (self._tile, self._halo))
        if max(found.shape[-2:]) <= tile:
            return half.last(half.piece(found))
        return half.last(self._put_together(found, tile, halo))

    def _put_together(self, values: "Tensor", tile: int, halo: int) -> "Tensor":
        norms, small = group_norms(self._half.pieced()), self._small(values, tile)
        result: Tensor | None = None
        with given(measured(norms, lambda: self._half.piece(small))):
            for rows, columns, piece in self._pieces(values, tile, halo):
                if result is None:
                    result = piece.new_empty(1, piece.shape[1], *map(self._scaled, values.shape[-2:]))
                result[:, :, rows, columns] = piece
        assert result is not None
        return result

    def _small(self, values: "Tensor", tile: int) -> "Tensor":
        """Every n-th value: they keep their spread, which averages would lose."""
        from torch.nn.functional import interpolate

        size = [min(side, tile) for side in values.shape[-2:]]
        return interpolate(values, size=size, mode="nearest-exact")

    def _pieces(self, values: "Tensor", tile: int, halo: int) -> "Iterator[tuple[slice, slice, Tensor]]":
        """Where each piece belongs, and its own part."""
        padded, wraps = self._wrapped(values, halo)
        height, width = values.shape[-2:]
        unit = 1 if self._half.decodes else self._half.factor
        for row in spans(height, tile, halo, unit, wraps=wraps[0]):
            for column in spans(width, tile, halo, unit, wraps=wraps[1]):
                cut = padded[:, :, _cut(row, halo, wraps[0]), _cut(column, halo, wraps[1])]
                piece = self._half.piece(cut)
                yield self._place(row), self._place(column), piece[:, :, self._own(row), self._own(column)]

    def _wrapped(self, values: "Tensor", halo: int) -> "tuple[Tensor, tuple[bool, bool]]":
        """The picture with its other end at each side that wraps around, as in pictures that tile."""
        from torch.nn.functional import pad

        padding = self._half.module.conv_in.padding
        wraps = (padding[0] == 0, padding[1] == 0)
        high, wide = (halo * on for on in wraps)
        return pad(values, (wide, wide, high, high), mode="circular") if any(wraps) else values, wraps

    def _scaled(self, length: int) -> int:
        factor = self._half.factor
        return length * factor if self._half.decodes else length // factor

    def _own(self, span: Span) -> slice:
        return slice(self._scaled(span.before), self._scaled(span.before + span.stop - span.start))

    def _place(self, span: Span) -> slice:
        return slice(self._scaled(span.start), self._scaled(span.stop))


def spans(length: int, tile: int, halo: int, unit: int = 1, *, wraps: bool = False) -> list[Span]:
    """Pieces of at most `tile`, as even as multiples of `unit` allow; a `halo` where they have neighbours."""
    if length <= tile and not wraps:
        return [Span(0, length, 0, length)]
    count = -(-length // (tile - 2 * halo))
    own = -(-length // (count * unit)) * unit
    starts = range(0, length, own)
    pieces = [(start, min(start + own, length)) for start in starts]
    if wraps:
        return [Span(start, stop, start - halo, stop + halo) for start, stop in pieces]
    return [Span(start, stop, max(start - halo, 0), min(stop + halo, length)) for start, stop in pieces]


def _cut(span: Span, halo: int, wraps: bool) -> slice:
    return slice(span.low + halo * wraps, span.high + halo * wraps)
