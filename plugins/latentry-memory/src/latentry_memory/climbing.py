"""Find the cheapest optimizers that make the components of one device fit into it.

The ladder is climbed rung by rung. Up to the first rung on which something fits, all that does not offload is
taken, then what is not needed is dropped, the dearest first. Of all ways to offload, the one that moves the
fewest bytes is taken; then as much as fits stays on the device.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from latentry_memory.adding import PIECES, Added, Saver
from latentry_sdk import Footprint, PluginError, Work

MOST_WAYS = 20_000
"""Ways to offload that are looked at; a model of more components is offloaded by one optimizer throughout."""


@dataclass(frozen=True)
class Part:
    """A component of the device: what it takes as planned, what may be added, and how often it is called."""

    name: str
    footprint: Footprint
    work: Work
    savers: Sequence[Saver]
    calls: int = 1

    def with_(self, added: Sequence[Saver]) -> Footprint:
        """What it takes with these optimizers too."""
        found = self.footprint
        for saver in added:
            found = _estimated(saver, found, self.work)
        return found


Parts = Sequence[Part]


def peak(parts: Parts, added: Added) -> int:
    """The most bytes that the components hold: all that they keep, and what one of them takes in passing."""
    found = [part.with_(added.get(part.name, ())) for part in parts]
    return sum(each.kept for each in found) + max((each.passing for each in found), default=0)


def cheapest(parts: Parts, budget: int) -> Added | None:
    """What to add so that the peak is at most `budget` bytes; nothing where that is so already."""
    for rung in (0, *sorted({saver.rung for part in parts for saver in part.savers})):
        ways = [way for way in _ways(parts, rung) if peak(parts, way) <= budget]
        if ways:
            best = min(ways, key=lambda way: _moved(parts, way, budget))
            return _keeping(parts, _needed(parts, best, budget), budget)
    return None


def smallest(parts: Parts) -> int:
    """The smallest peak that anything gives."""
    top = max((saver.rung for part in parts for saver in part.savers), default=0)
    return min(peak(parts, way) for way in _ways(parts, top))


def _ways(parts: Parts, rung: int) -> Iterator[Added]:
    """All that does not offload, up to a rung, with each way to offload up to there."""
    light = {part.name: tuple(s for s in part.savers if s.rung <= rung and not s.offloads) for part in parts}
    heavy = [[None, *(s for s in part.savers if s.rung <= rung and s.offloads)] for part in parts]
    count = 1
    for each in heavy:
        count *= len(each)
    choices = product(*heavy) if count <= MOST_WAYS else zip(*_even(heavy), strict=True)
    for chosen in choices:
        yield {
            part.name: (*light[part.name], *([saver] if saver else []))
            for part, saver in zip(parts, chosen, strict=True)
        }


def _even(heavy: list[list[Saver | None]]) -> list[list[Saver | None]]:
    """The same choice for every component, as far as it has it."""
    longest = max(map(len, heavy))
    return [each + [each[-1]] * (longest - len(each)) for each in heavy]


def _moved(parts: Parts, way: Added, budget: int) -> tuple[int, int]:
    """Bytes that are brought to the device in a job, and the rungs that it takes: less is cheaper.

    What is left of the budget is taken by weights that stay, those first that are called most often.
    """
    moved, room = 0, budget - peak(parts, way)
    for part in sorted(parts, key=lambda part: -part.calls):
        for saver in way[part.name]:
            if saver.offloads:
                stays = min(room, part.footprint.kept) if saver.keeps else 0
                room -= stays
                calls = 1 if saver.rung < PIECES else part.calls
                moved += (part.footprint.kept - stays) * calls * (saver.rung // 10)
    return moved, sum(saver.rung for chosen in way.values() for saver in chosen)


def _needed(parts: Parts, way: Added, budget: int) -> Added:
    """The same without what is not needed, the dearest first.

    Where weights come in pieces, what lowers the peak is needed: it leaves room for weights that stay.
    """
    filled = any(saver.keeps for chosen in way.values() for saver in chosen)
    uses = [(saver, part.name) for part in parts for saver in way[part.name]]
    for saver, name in sorted(uses, key=lambda use: -use[0].rung):
        less = {**way, name: tuple(other for other in way[name] if other is not saver)}
        most = peak(parts, way) if filled and not saver.offloads else budget
        if peak(parts, less) <= most:
            way = less
    return way


def _keeping(parts: Parts, way: Added, budget: int) -> Added:
    """The same with as many bytes of offloaded weights on the device as fit there."""
    names = {saver.spec.name for chosen in way.values() for saver in chosen if saver.keeps}
    for name in sorted(names):
        fits, too_much = 0, max(part.footprint.kept for part in parts) + 1
        while too_much - fits > 1:
            middle = (fits + too_much) // 2
            if peak(parts, _kept(way, name, middle)) <= budget:
                fits = middle
            else:
                too_much = middle
        way = _kept(way, name, fits)
    return way


def _kept(way: Added, name: str, size: int) -> Added:
    return {
        part: tuple(saver.keeping(size) if saver.spec.name == name else saver for saver in chosen)
        for part, chosen in way.items()
    }


def _estimated(saver: Saver, footprint: Footprint, work: Work) -> Footprint:
    try:
        found = saver.spec.estimate(footprint, work, **dict(saver.options))
    except Exception as exc:
        raise PluginError(f"optimizer {saver.spec.name!r} failed: {exc}") from exc
    return found
