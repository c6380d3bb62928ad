"""Keep converted models on disk, whole or not at all."""

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from hashlib import file_digest, sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentry.types import Component
from latentry_sdk.engines.conversion import Converted
from latentry_sdk.engines.shapes import shapes, signature
from latentry_sdk.machine import installed

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)
NOTE = "entry.json"


def entry(component: Component, arrays: Sequence["Tensor"], *made_with: str) -> str:
    """The name under which a conversion is kept: everything that it was made from.

    `made_with` are the distributions whose versions matter, and what else the conversion depends on.
    """
    kind = type(component.module)
    parts = (component.digest(), component.name, kind.__module__, kind.__qualname__, shapes(arrays))
    versions = tuple((name, installed(name)) for name in made_with)
    return sha256(repr((*parts, signature(arrays), versions)).encode()).hexdigest()[:32]


def load(folder: Path, read: Callable[[Path], Any]) -> Converted | None:
    """The model that `read(folder)` gives; None, with the folder gone, if it is damaged, foreign or gone."""
    try:
        note = json.loads((folder / NOTE).read_bytes())
        if note["entry"] != folder.name:
            raise ValueError("it was kept under another name")
        if note["files"] != _digests(folder):
            raise ValueError("a file has another content than was written")
        kept = tuple(tuple(shape) for shape in note["shapes"])
        kinds = tuple((int(dimensions), bool(floating)) for dimensions, floating in note["signature"])
        return Converted(read(folder), note["many"], note["general"], kept, kinds)
    except FileNotFoundError:
        _remove(folder)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as exc:
        log.warning("the converted model %s is damaged and made again: %s", folder.name, exc)
        _remove(folder)
    return None


def keep(converted: Converted, folder: Path, write: Callable[[Any, Path], None]) -> None:
    """Have `write(model, folder)` write beside the place, then rename.

    Of two processes at once, one entry is kept whole. A disk that takes none costs a warning.
    """
    temporary = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".part-"))
        write(converted.model, temporary)
        _note(converted, temporary, folder.name)
        os.rename(temporary, folder)
    except (OSError, RuntimeError) as exc:  # the disk is full, or another process was first
        if not folder.is_dir():
            log.warning("a converted model cannot be kept in %s: %s", folder.parent, exc)
        if temporary:
            shutil.rmtree(temporary, ignore_errors=True)


def _note(converted: Converted, folder: Path, name: str) -> None:
    note = {
        "entry": name,
        "files": _digests(folder),
        "many": converted.many,
        "general": converted.general,
        "shapes": converted.shapes,
        "signature": converted.signature,
    }
    (folder / NOTE).write_text(json.dumps(note))


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each file but the note."""
    digests = {}
    for path in sorted(folder.iterdir()):
        if path.name != NOTE:
            with path.open("rb") as file:
                digests[path.name] = file_digest(file, "sha256").hexdigest()
    return digests


def _remove(folder: Path) -> None:
    """Out of the way first, so that nobody sees half of it."""
    if folder.exists():
        trash = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".old-"))
        try:
            os.rename(folder, trash / folder.name)
        except OSError:
            log.debug("another process removed %s", folder)
        shutil.rmtree(trash, ignore_errors=True)
