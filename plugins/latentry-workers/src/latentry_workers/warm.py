"""Keep several models loaded: the least recently used go when memory is wanted."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from latentry_sdk import Executor, Host, Job, Plan, Result
from latentry_sdk.footprints import footprints, kept


@dataclass
class _Kept:
    """An executor with one model loaded, and the bytes of weights on each device."""

    executor: Executor
    memory: Mapping[str, int]


class WarmModels:
    """Runs jobs one at a time, each in the inline executor that has its model.

    Together the weights take at most `share` of each device's memory. Where a device does not say how
    much it has, and where one model takes more, it is alone.
    """

    def __init__(self, host: Host, share: float) -> None:
        self._host = host
        self._share = share
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def run(self, job: Job, model: str) -> Result:
        """Run the job; `model` is the same for jobs that can share loaded weights."""
        before, needed = self._kept.pop(model, None), weights(job.plan, self._host)
        self._make_room(needed)
        executor = before.executor if before else self._host.registry.executors["inline"].open(self._host)
        self._kept[model] = _Kept(executor, needed)
        return executor.run(job)

    @property
    def models(self) -> list[str]:
        """What is kept, the least recently used first."""
        return list(self._kept)

    def close(self) -> None:
        """Let all go."""
        while self._kept:
            self._kept.popitem()[1].executor.close()

    def _make_room(self, needed: Mapping[str, int]) -> None:
        while self._kept and not self._fits(needed):
            self._kept.popitem(last=False)[1].executor.close()

    def _fits(self, needed: Mapping[str, int]) -> bool:
        reports = self._host.devices()
        for device, size in needed.items():
            total = reports[device].memory.total
            taken = sum(kept.memory.get(device, 0) for kept in self._kept.values())
            if total is None or taken + size > self._share * total:
                return False
        return True


def weights(plan: Plan, host: Host) -> Mapping[str, int]:
    """Bytes that the plan's model keeps on each device between jobs."""
    return kept(plan, footprints(plan, host.devices()))
