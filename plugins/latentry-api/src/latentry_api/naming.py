"""What a client may name: models that are listed and no path, so that nobody looks about the disk."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from latentry_sdk import Host, InvalidRequest, Reference, Request, UnknownName


def check_names(request: Request, host: Host) -> None:
    """Raise `UnknownName` for a model that is not listed, named by the request or by its options.

    Folders and files are no client's matter: an option that is a path raises `InvalidRequest`.
    """
    listed = {entry.name for entry in host.models()}
    named = [request.model]
    for owner, option, kinds, value in _given(request, host):
        if Path in kinds:
            raise InvalidRequest(f"{owner}.{option} is set by who runs the server", fix="leave it out")
        named += [value] if Reference in kinds else []
    for name in named:
        if isinstance(name, str) and name not in listed:
            raise UnknownName("model", name, listed)


def _given(request: Request, host: Host) -> Iterator[tuple[str, str, set[Any], Any]]:
    """The options that a request gives: owner, name, types, value."""
    registry = host.registry
    for table in (registry.tasks, registry.stages, registry.samplers, registry.schedulers, registry.devices,
                  registry.optimizers):  # fmt: skip
        for owner in table.keys() & request.options.keys():
            for option, field in table[owner].options.model_fields.items():
                if option in request.options[owner]:
                    kinds = {field.annotation, *get_args(field.annotation)}
                    yield owner, option, kinds, request.options[owner][option]
