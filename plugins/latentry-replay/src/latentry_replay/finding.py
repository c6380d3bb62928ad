"""Find what a record names: models among those the host lists, input pictures by their content."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path, PurePath, PureWindowsPath

from latentry_sdk import Host, InvalidInput, InvalidRequest, UnknownName
from latentry_sdk.sources import digest, load

PICTURES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
MOST_FILES = 1000
"""So many pictures beside the replayed one are looked at."""


def known_model(host: Host, *names: str | None) -> str | None:
    """The name, among the host's models, of the one a record means; None where the default was meant.

    A name means a listed model of that name, or one whose file or folder is called so. A path counts by its
    last part alone: what a picture names is never opened. Raises `UnknownName` for a model not listed.
    """
    listed = {entry.name: entry.path for entry in host.models()}
    for name in filter(None, names):
        if name in listed:
            return name
        last = PureWindowsPath(PurePath(name).name).name
        stems = {last, last.removesuffix(".safetensors"), last.removesuffix(".ckpt")}
        for known, path in listed.items():
            if known in stems or path.name in stems or path.stem in stems:
                return known
    if names[0] is None:
        return None
    raise UnknownName("model", names[0], listed, fix="give the picture's model by --model")


def input_files(recorded: Mapping[str, str], given: Mapping[str, Path], folder: Path) -> Mapping[str, Path]:
    """The files of a picture's inputs: those given, the others by their digests among those in `folder`.

    Raises `InvalidRequest` that says which are missing.
    """
    wanted = {name: digest for name, digest in recorded.items() if name not in given}
    found = dict(_matching(wanted, folder)) if wanted else {}
    if missing := [name for name in wanted if name not in found]:
        what = " and ".join(f"{name[:32]!a} ({wanted[name][:17]!a}…)" for name in missing)
        flags = " and ".join(f"--{name[:32]}" for name in missing)
        raise InvalidRequest(f"the inputs {what} are not beside the picture", fix=f"give them by {flags}")
    return {**found, **given}


def _matching(wanted: Mapping[str, str], folder: Path) -> Iterator[tuple[str, Path]]:
    for file in islice(_pictures(folder), MOST_FILES):
        with suppress(InvalidInput):
            content = digest(load(file, file.name))
            yield from ((name, file) for name, each in wanted.items() if each == content)


def _pictures(folder: Path) -> Iterator[Path]:
    with suppress(OSError):
        yield from (file for file in sorted(folder.iterdir()) if file.suffix.lower() in PICTURES)
