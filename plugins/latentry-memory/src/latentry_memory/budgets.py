"""How many bytes of a device a job may take."""

from dataclasses import dataclass

from latentry_sdk import DeviceReport, Field, Memory, Number, Options, Plan, parsed
from latentry_sdk.machine import system_memory

OWNER = "memory"


class MemoryOptions(Options):
    """Settings of the configuration file, under `[options.memory]`."""

    reserve: Number = Field(
        0.1, ge=0, lt=1, description="Share of a device's free memory that plans leave alone, for workspaces"
    )
    every: Number = Field(
        0.1, ge=0, le=60, description="Seconds between two looks at the memory while a job runs; 0 is never"
    )
    floor: Number = Field(
        0.01, ge=0, lt=1, description="Share of the machine's memory: a job ends before less than it is left"
    )


@dataclass(frozen=True)
class Budget:
    """Bytes that a job is planned for, and the most that it may take at all; None where nobody knows.

    `is_host` says that the device's memory is the machine's own, from which nothing can be offloaded.
    """

    wanted: int | None
    most: int | None
    is_host: bool = False


def options_of(plan: Plan) -> MemoryOptions:
    """What the configuration says."""
    return parsed(MemoryOptions, plan.config.options.get(OWNER, {}), where=f"[options.{OWNER}]: ")


def budget_of(plan: Plan, report: DeviceReport) -> Budget:
    """The budget for a device: what is free now, and at most all of it, each less the reserve."""
    reserve = options_of(plan).reserve
    total, free = report.memory.total, report.memory.free
    if total is None:
        return Budget(None, None)
    host = host_memory()
    free = host.free if total == host.total else free
    most = round(total * (1 - reserve))
    wanted = most if free is None else min(round(free * (1 - reserve)), most)
    return Budget(wanted, most, total == host.total)


def host_memory() -> Memory:
    """What this machine has, and what it could give now without swapping; what this process holds is free."""
    import psutil

    found = system_memory()
    return Memory(found.total, (found.free or 0) + int(psutil.Process().memory_info().rss))
