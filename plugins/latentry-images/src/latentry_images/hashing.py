"""The hash that names a model's content, taken once for as long as its files stay as they are."""

import json
import re
from collections.abc import Hashable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from hashlib import file_digest, sha256
from pathlib import Path

from latentry_sdk import ModelHeader, UserError, write_whole

SHORT = 10
"""Hexadecimal digits of AUTOMATIC1111's `Model hash`."""

SETTINGS = frozenset({".json", ".txt", ".model"})
"""Configurations, vocabularies and merges of a diffusers folder."""

SHA256 = re.compile(r"[0-9a-f]{64}")


def model_hash(header: ModelHeader, cache: Path) -> str:
    """The sha256 of a model: of the file itself, or, for a folder, of what `sha256sum` says of its files.

    That is a line `<sha256>  <path within the folder>` for each of `model_files`, in the order of their
    paths. The hash of each file is kept below `cache` until the file's size or modification time changes,
    and that of the model in this process until one of its files does.
    """
    parts = tuple(name for name, about in header.index.items() if isinstance(about, list))
    return _known(header.path, parts, header.signature(), cache)


@lru_cache(maxsize=64)
def _known(path: Path, parts: Sequence[str], _signature: Hashable, cache: Path) -> str:
    header = ModelHeader(path, {part: [] for part in parts})
    if not header.is_folder:
        return file_hash(path, cache)
    files = {file.relative_to(path).as_posix(): file for file in model_files(header)}
    lines = [f"{file_hash(files[name], cache)}  {name}\n" for name in sorted(files)]
    return sha256("".join(lines).encode()).hexdigest()


def model_files(header: ModelHeader) -> Iterator[Path]:
    """`model_index.json`, and of each component it names the settings and the weights that are read."""
    yield header.path / "model_index.json"
    for folder in header.path.iterdir():
        if not isinstance(header.index.get(folder.name), list) or not folder.is_dir():
            continue
        yield from (file for file in folder.iterdir() if file.suffix in SETTINGS and file.is_file())
        if any(folder.glob("*.safetensors")):
            yield from header.weight_files(folder.name)


def file_hash(file: Path, cache: Path) -> str:
    """The sha256 of a file, from the cache where it holds one of the same path, size and time."""
    path, stat = file.resolve(), file.stat()
    known = [str(path), stat.st_size, stat.st_mtime_ns]
    entry = cache / "hashes" / f"{sha256(str(path).encode(errors='surrogateescape')).hexdigest()}.json"
    with suppress(OSError, ValueError, KeyError, TypeError):  # an entry that cannot be read is no entry
        kept = json.loads(entry.read_bytes())
        if kept["file"] == known and SHA256.fullmatch(kept["sha256"]):
            return str(kept["sha256"])
    with file.open("rb") as opened:
        found = file_digest(opened, "sha256").hexdigest()
    with suppress(OSError, UserError):  # the next job takes it again
        entry.parent.mkdir(parents=True, exist_ok=True)
        write_whole(entry, json.dumps({"file": known, "sha256": found}).encode(), overwrite=True)
    return found
