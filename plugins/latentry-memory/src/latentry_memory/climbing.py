"""Find the cheapest optimizers that make the components of one device fit into it.

What does not offload is tried rung by rung. Then the ways to offload are compared: the one that brings the
fewest bytes to the device is taken, and offloading to disk only where nothing else fits. What is not needed
is dropped, the dearest first, and as much as fits stays on the device.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from latentry_memory.adding import DISK, OFFLOAD, Added, Saver
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
    for rung in _steps(parts):
        ways = [way for way in _ways(parts, rung) if peak(parts, way) <= budget]
        if ways:
            best = min(ways, key=lambda way: _moved(parts, way, budget))
            return _keeping(parts, _needed(parts, best, budget), budget)
    return None


def _steps(parts: Parts) -> list[int]:
    """How far up the ladder to look, one step after the other."""
    rungs = {saver.rung for part in parts for saver in part.savers}
    return sorted(
        {0, *(rung for rung in rungs if rung < OFFLOAD), *([DISK - 1] if rungs else []), *rungs & {DISK}}
    )


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
    for chosen in filter(_is_sound, choices):
        yield {
            part.name: (*light[part.name], *([saver] if saver else []))
            for part, saver in zip(parts, chosen, strict=True)
        }


def _is_sound(chosen: Sequence[Saver | None]) -> bool:
    """Whether all components come whole or none: such ones make room for each other, and for no others."""
    whole = [saver is not None and saver.is_whole for saver in chosen]
    return all(whole) or not any(whole)


def _even(heavy: list[list[Saver | None]]) -> list[list[Saver | None]]:
    """The same choice for every component, as far as it has it."""
    longest = max(map(len, heavy))
    return [each + [each[-1]] * (longest - len(each)) for each in heavy]


def _moved(parts: Parts, way: Added, budget: int) -> tuple[float, int]:
    """Bytes that are brought to the device in a job, and the rungs that it takes: less is cheaper."""
    stays = _staying(parts, way, budget - peak(parts, way))
    moved = 0.0
    for part in parts:
        for saver in way[part.name]:
            if saver.offloads:
                calls = 1 if saver.is_whole else part.calls
                moved += (part.footprint.kept - stays.get(part.name, 0)) * calls * saver.rung
    return moved, sum(saver.rung for chosen in way.values() for saver in chosen)


def _staying(parts: Parts, way: Added, room: int) -> dict[str, int]:
    """Bytes of each component that will stay in `room`: the same number for all that an optimizer has."""
    using: dict[str, list[Part]] = {}
    for part in sorted(parts, key=lambda part: -part.calls):
        for saver in way[part.name]:
            if saver.keeps:
                using.setdefault(saver.spec.name, []).append(part)
    stays: dict[str, int] = {}
    for users in using.values():
        left = sorted(users, key=lambda part: part.footprint.kept)
        while left:
            part = left[0]
            stays[part.name] = min(part.footprint.kept, room // len(left))
            room -= stays[part.name]
            left.pop(0)
    return stays


def _needed(parts: Parts, way: Added, budget: int) -> Added:
    """The same without what is not needed, the dearest first.

    Where weights come in pieces, what lowers the peak is needed: it leaves room for weights that stay.
    """
    filled = any(saver.keeps for chosen in way.values() for saver in chosen)
    uses = [(saver, part.name) for part in parts for saver in way[part.name] if not saver.offloads]
    for saver, name in sorted(uses, key=lambda use: -use[0].rung):
        less = {**way, name: tuple(other for other in way[name] if other is not saver)}
        most = peak(parts, way) if filled else budget
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
