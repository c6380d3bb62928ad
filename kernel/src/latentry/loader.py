"""Find plugins, load each one alone, and keep the reason when one fails."""

import inspect
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import click
import pluggy

from latentry import hooks, specs
from latentry.errors import DuplicateName, LatentryError, PluginError, UnknownName, one_line, shown
from latentry.integrity import Guard
from latentry.registry import COLLECTED, Registry

T = TypeVar("T")
RESERVED = ("plugins", "devices", "models", "samplers", "schedulers", "tasks", "doctor", "plan", "check")
"""The host's own commands."""
TAKING_OPTIONS = ("sample", "sigmas", "estimate", "apply")
"""The functions of configurable specs that take the declared options as keyword arguments."""

Provided = Mapping[str, Sequence[Any]]
"""What a plugin gave, by hook."""


@dataclass(frozen=True)
class Candidate:
    """A plugin that was found but not yet loaded; `clash` says why it must not be."""

    name: str
    load: Callable[[], object]
    distribution: str | None = None
    version: str | None = None
    clash: str | None = None
    disabled: bool = False


@dataclass(frozen=True)
class PluginRecord:
    """What became of a plugin, why, what to do about it, and the names it provides by hook."""

    name: str
    distribution: str | None
    version: str | None
    status: Literal["active", "disabled", "incompatible", "failed"]
    reason: str | None = None
    fix: str | None = None
    provides: Mapping[str, Sequence[str]] = field(default_factory=dict)


class Loader:
    """Takes candidates one by one: each whole, or not at all."""

    def __init__(self, *, seconds: float) -> None:
        self.manager = pluggy.PluginManager("latentry")
        self.manager.add_hookspecs(hooks)
        self.registry = Registry()
        self.commands: dict[str, click.Command] = {}
        self.records: list[PluginRecord] = []
        self._seconds, self._guard = seconds, Guard()

    def add(self, candidate: Candidate) -> None:
        """Load `candidate` and record what became of it; raises nothing."""
        about = candidate.name, candidate.distribution, candidate.version
        self.records.append(PluginRecord(*about, *self._outcome(candidate)))

    def _outcome(self, candidate: Candidate) -> tuple[Any, ...]:
        """Status, reason, fix, and the names that it provides."""
        if candidate.disabled:
            return "disabled", "not enabled in the configuration"
        if candidate.clash:
            return "incompatible", candidate.clash, f"pip install --upgrade {candidate.distribution}"
        try:
            self._refuse_second(candidate)
            return "active", None, None, self._take(candidate)
        except BaseException as exc:
            fix = getattr(exc, "fix", None) or f"update it, or pip uninstall {candidate.distribution}"
            told = exc.message if isinstance(exc, LatentryError) else f"{type(exc).__name__}: {one_line(exc)}"
            return "failed", told[:500], fix

    def _take(self, candidate: Candidate) -> Mapping[str, Sequence[str]]:
        with ExitStack() as undo:
            with self._guard.watching():
                plugin = within(self._seconds, candidate.load)
                self.manager.register(plugin, name=candidate.name)
                undo.callback(self.manager.unregister, name=candidate.name)
                provided = within(self._seconds, lambda: self._collect(plugin))
            names = self._merge(candidate.name, provided)
            undo.pop_all()
        return names

    def _merge(self, name: str, provided: Provided) -> Mapping[str, Sequence[str]]:
        registry = self.registry.merged(name, provided)
        commands = {command.name or "": command for command in provided.get("register_commands", ())}
        words = [*RESERVED, *self.commands, *commands, *registry.tasks]
        if taken := sorted(word for word in {*words} if words.count(word) > 1):
            raise DuplicateName(f"the command {taken[0]!r} of {name!r} is taken")
        self.registry = registry
        self.commands |= commands
        return {hook: tuple(getattr(item, "name", "") for item in items) for hook, items in provided.items()}

    def _collect(self, plugin: object) -> Provided:
        provided: dict[str, Sequence[Any]] = {}
        for caller in self.manager.get_hookcallers(plugin) or ():
            if caller.spec is None:
                known = [name for name, value in vars(hooks).items() if hasattr(value, "latentry_spec")]
                raise UnknownName("hook", caller.name, known)
            calls: list[Any] = [impl.function for impl in caller.get_hookimpls() if impl.plugin is plugin]
            provided[caller.name] = ()
            if caller.name in COLLECTED:
                provided[caller.name] = _checked(caller.name, [spec for call in calls for spec in call()])
            elif caller.name == "register_commands":
                group = click.Group()
                for call in calls:
                    call(cli=group)
                provided[caller.name] = tuple(group.commands.values())
        if not provided:
            raise PluginError("it implements no hook", fix="mark its hooks with latentry_sdk.hookimpl")
        return provided

    def _refuse_second(self, candidate: Candidate) -> None:
        for record in self.records:
            if record.name == candidate.name and record.status == "active":
                owners = f"{record.distribution!r} and {candidate.distribution!r}"
                raise DuplicateName(f"plugin {candidate.name!r} is given by both {owners}")


def within(seconds: float, call: Callable[[], T]) -> T:
    """What `call` returns or raises, in a thread of its own; `PluginError` when it takes too long."""
    outcome: Future[T] = Future()

    def target() -> None:
        try:
            outcome.set_result(call())
        except BaseException as exc:
            outcome.set_exception(exc)

    threading.Thread(target=target, daemon=True).start()
    if not wait([outcome], seconds).done:
        raise PluginError(f"it took more than {seconds:g} s", fix="move slow work out of import and hooks")
    return outcome.result()


def _checked(hook: str, given: Sequence[Any]) -> Sequence[Any]:
    wanted = COLLECTED[hook]
    for spec in given:
        if not isinstance(spec, wanted):
            raise PluginError(f"{hook} gave {shown(spec)}, which is no {wanted.__name__}")
        named = TAKING_OPTIONS if isinstance(spec, specs.Configurable) else ()
        for function in (getattr(spec, name) for name in named if hasattr(spec, name)):
            taken = inspect.signature(function).parameters
            if extra := [name for name in spec.options.model_fields if name not in taken]:
                raise PluginError(f"{spec.name!r} declares the option {extra[0]!r}, which its function lacks")
    return given
