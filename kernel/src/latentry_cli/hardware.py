"""Devices as a file describes them, so that jobs can be planned for machines that are elsewhere.

[[device]]
name = "cuda"
total = "12 GB"
free = "10.5 GB"
dtypes = ["float16", "float32"]
speed = { float16 = "120 TFLOP/s" }
"""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from latentry.errors import InvalidRequest, Unavailable
from latentry.registry import Registry, Table
from latentry.request import Count, Name, Options, parsed
from latentry.specs import DeviceSpec
from latentry.types import DeviceReport, Memory

RATES = {"": 1, "gflop/s": 10**9, "tflop/s": 10**12, "pflop/s": 10**15}
SIZES = {"": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12, "kib": 2**10, "mib": 2**20, "gib": 2**30}
AMOUNT = re.compile(r"(\d+(?:\.\d+)?) ?([a-z/]*)", re.IGNORECASE)


def _in(units: Mapping[str, int]) -> BeforeValidator:
    """Takes texts with one of these units as numbers."""

    def number(value: Any) -> Any:
        found = AMOUNT.fullmatch(value) if isinstance(value, str) else None
        if found and found[2].lower() in units:
            return round(float(found[1]) * units[found[2].lower()])
        return value

    return BeforeValidator(number)


Bytes = Annotated[Count, _in(SIZES), Field(ge=0, lt=2**63)]
Rate = Annotated[Count, _in(RATES), Field(gt=0, lt=2**63)]


class DescribedDevice(Options):
    """One device. Sizes are bytes, or texts such as "12 GB" and "16 GiB"; what is free is all if left out.

    Speeds are operations with floats a second, or texts such as "120 TFLOP/s".
    """

    name: Name = Field(description="What --place names")
    total: Bytes | None = Field(None, description="All its memory")
    free: Bytes | None = Field(None, description="What a job could have")
    dtypes: tuple[Name, ...] = Field(("float32",), min_length=1, description="The one it prefers first")
    kinds: tuple[Name, ...] = Field(("torch",), min_length=1, description="Kinds of components that it runs")
    rank: Count = Field(0, description="The highest of those that are there is taken")
    speed: Mapping[Name, Rate] = Field({}, description="What it reaches with such models, by dtype")

    @model_validator(mode="after")
    def _speeds_are_of_its_types(self) -> Self:
        if unknown := self.speed.keys() - {*self.dtypes}:
            raise ValueError(f"{min(unknown)} has a speed, and is none of its dtypes")
        return self


class Hardware(Options):
    """What a file holds."""

    device: tuple[DescribedDevice, ...] = Field(min_length=1, max_length=64)


def described(registry: Registry, path: Path) -> Registry:
    """The registry with the devices of a TOML or JSON file in place of this machine's."""
    found = parsed(Hardware, _read(path), where=f"{path.name}: ")
    table = Table("device", DeviceSpec)
    for each in found.device:
        table = table.added(_spec(each, registry), owner=path.name)
    return replace(registry, devices=table)


def _spec(device: DescribedDevice, registry: Registry) -> DeviceSpec:
    total = device.total
    memory = Memory(total, total if device.free is None else device.free)
    report = DeviceReport(
        True, "described", dtypes=device.dtypes, memory=memory, rank=device.rank, speed=device.speed
    )
    plain = DeviceSpec(device.name, lambda: report, partial(_absent, device.name), frozenset(device.kinds))
    installed = registry.devices.get(device.name)
    return plain if installed is None else replace(plain, options=installed.options)


def _absent(name: str, _options: Options) -> Any:
    raise Unavailable(f"the device {name!r} is only described")


def _read(path: Path) -> Mapping[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            return {**json.loads(text)}
        import tomllib

        return tomllib.loads(text)
    except (OSError, ValueError, TypeError) as exc:
        raise InvalidRequest(f"{path.name} cannot be read: {exc}") from exc
