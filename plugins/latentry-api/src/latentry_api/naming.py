"""Which models a client may name: those that are listed, so that nobody looks about the disk."""

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from latentry_sdk import Host, Options, Reference, Request, UnknownName


def check_models(request: Request, host: Host) -> None:
    """Raise `UnknownName` for a model that is not listed, named by the request or by its options."""
    listed = {entry.name for entry in host.models()}
    for name in (request.model, *_in_options(request, host)):
        if isinstance(name, str) and name not in listed:
            raise UnknownName("model", name, listed)


def _in_options(request: Request, host: Host) -> Iterator[Any]:
    registry = host.registry
    for table in (registry.tasks, registry.stages, registry.samplers, registry.schedulers, registry.devices):
        for owner in table.keys() & request.options.keys():
            yield from _references(table[owner].options, request.options[owner])


def _references(kind: type[Options], given: Mapping[str, Any]) -> Iterator[Any]:
    """The values of options that are declared as a `Reference`."""
    for name, field in kind.model_fields.items():
        if Reference in (field.annotation, *get_args(field.annotation)):
            yield given.get(name)
