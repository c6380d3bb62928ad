"""The machine's profile: a file that says which way was fastest here, for each model and size of picture.

It lies beside the configuration file, as machine.json; $LATENTRY_PROFILE names another place, and no profile
is used where it is empty.
"""

import os
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from math import log2
from pathlib import Path
from typing import Annotated, Literal

from platformdirs import user_config_path

from latentry_bench.machine import Signature, changed, signature
from latentry_sdk import (
    Count,
    Detected,
    Field,
    InvalidRequest,
    Number,
    Options,
    UserError,
    parsed,
    write_whole,
)

VARIABLE = "LATENTRY_PROFILE"
NAME = "machine.json"


class Entry(Options):
    """What was fastest for one model at one size of picture.

    `detail` is what the device's probe said then; `changeable` says that the device runs torch modules as
    they are; `owners` are those of options that the job was measured with, or that change no component.
    `picture` and `step` are seconds, of a `task` with so many `steps`, `guided` or not; no steps, where the
    job made several pictures.
    """

    variant: str
    parameters: int
    side: int
    device: str
    dtype: str
    optimizers: tuple[str, ...] = ()
    approximate: bool = False
    changeable: bool = False
    detail: str = ""
    owners: tuple[str, ...] = ()
    size: tuple[int, int]
    picture: Number
    step: Number | None = None
    task: str = ""
    steps: Count = 0
    guided: bool = False
    measured: str

    def is_for(self, variant: str, parameters: int, side: int) -> bool:
        """Whether it was measured with such a model at such a size."""
        return (self.variant, self.parameters, self.side) == (variant, parameters, side)


class Rate(Options):
    """How fast a device was without optimizers: seconds of a step, and its operations with floats."""

    device: str
    dtype: str
    detail: str = ""
    operations: Annotated[Number, Field(gt=0)]
    seconds: Annotated[Number, Field(gt=0)]

    @property
    def speed(self) -> float:
        """Operations a second."""
        return self.operations / self.seconds

    def is_for(self, other: "Rate") -> bool:
        """Whether it is of the same work in the same place."""
        same = (other.device, other.dtype, other.operations)
        return (self.device, self.dtype, self.operations) == same


class Profile(Options):
    """A machine, what was fastest on it, and how fast each device was."""

    version: Literal[1] = 1
    machine: Mapping[str, str | int]
    entries: tuple[Entry, ...] = ()
    rates: tuple[Rate, ...] = ()

    def find(self, model: Detected, size: tuple[int, int]) -> Entry | None:
        """The entry for a model of this variant and number of values, and pictures of about this size."""
        wanted = key(model, size)
        return next((entry for entry in self.entries if entry.is_for(*wanted)), None)

    def updated(self, machine: Signature, entry: Entry, rates: Sequence[Rate] = ()) -> "Profile":
        """The profile with these in the place of others for the same; of another machine, nothing is kept."""
        kept = self if dict(self.machine) == dict(machine) else Profile(machine=machine)
        entries = [old for old in kept.entries if not old.is_for(entry.variant, entry.parameters, entry.side)]
        others = [old for old in kept.rates if not any(map(old.is_for, rates))]
        return Profile(machine=machine, entries=(*entries, entry), rates=(*others, *rates))


def of_this_machine() -> tuple[Profile | None, str | None]:
    """The profile if there is one and it is of this machine; else what is wrong with it, in words."""
    try:
        profile = read(profile_path())
    except UserError as exc:
        return None, f"{exc}; it is not used"
    if profile is None:
        return None, None
    if what := changed(profile.machine, signature()):
        return None, f"the machine's profile is not used: {what}; run latentry bench --save, or --forget"
    return profile, None


def key(model: Detected, size: tuple[int, int]) -> tuple[str, int, int]:
    """What an entry is found by: the variant, the model's number of values, and the class of the size.

    The class is the power of two that is nearest to the side of a square of as many pixels.
    """
    return model.variant, sum(model.components.values()), round(log2(size[0] * size[1]) / 2)


def profile_path(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Where the profile is or would be; None where it is turned off."""
    if (named := environ.get(VARIABLE)) is not None:
        return Path(named) if named else None
    config = environ.get("LATENTRY_CONFIG")
    folders = (os.environ.get("HOME"), os.environ.get("XDG_CONFIG_HOME"))
    return (Path(config).parent if config else _folder(*folders)) / NAME


@cache
def _folder(*_variables: str | None) -> Path:
    """The platform's folder for configuration, which these variables say."""
    return user_config_path("latentry")


def read(path: Path | None) -> Profile | None:
    """The profile, or None where there is none; `InvalidRequest` where the file is none.

    Each component of each plan asks for it, so it is read again only when the file is another one.
    """
    if path is None:
        return None
    try:
        about = path.stat()
        return _read(path, (about.st_ino, about.st_size, about.st_mtime_ns))
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise _unreadable(path, str(exc.strerror)) from exc


@lru_cache(maxsize=1)
def _read(path: Path, _file: tuple[int, ...]) -> Profile:
    import json

    text = path.read_bytes()
    try:
        values = json.loads(text)
        return parsed(Profile, values if isinstance(values, dict) else {"": values})
    except (ValueError, RecursionError, UserError) as exc:
        raise _unreadable(path, " ".join(str(exc).split())[:200]) from exc


def write(path: Path | None, profile: Profile) -> Path:
    """Put the profile into its file in one step."""
    if path is None:
        raise InvalidRequest(f"the profile is turned off by an empty {VARIABLE}", fix=f"unset {VARIABLE}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise InvalidRequest(f"{path.parent} cannot be made: {exc.strerror}") from exc
    write_whole(path, profile.model_dump_json(indent=2).encode() + b"\n", overwrite=True)
    return path


def _unreadable(path: Path, why: str) -> InvalidRequest:
    return InvalidRequest(
        f"the machine's profile {path} cannot be read: {why}", fix="run latentry bench --forget"
    )
