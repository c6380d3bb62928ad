"""Keep converted models on disk, whole or not at all."""

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentry_openvino.conversion import Converted
from latentry_openvino.engine import installed
from latentry_openvino.runtime import load_openvino
from latentry_openvino.shapes import shapes, signature
from latentry_sdk import Component

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)
MODEL, NOTE = "model.xml", "entry.json"


def entry(component: Component, arrays: Sequence["Tensor"]) -> str:
    """The name under which a conversion is kept: everything that it was made from."""
    kind = type(component.module)
    parts = (component.digest(), component.name, kind.__module__, kind.__qualname__, shapes(arrays))
    versions = tuple(installed(name) for name in ("latentry-openvino", "openvino", "torch"))
    return hashlib.sha256(repr((*parts, signature(arrays), versions)).encode()).hexdigest()[:32]


def load(folder: Path, core: Any) -> Converted | None:
    """The model kept in `folder`; None, with the folder gone, if it is damaged or not there."""
    try:
        note = json.loads((folder / NOTE).read_bytes())
        if note["sizes"] != _sizes(folder):
            raise ValueError("a file has another size than was written")
        model = core.read_model(folder / MODEL)
        kept = tuple(tuple(shape) for shape in note["shapes"])
        return Converted(model, note["many"], note["general"], kept)
    except FileNotFoundError:
        _remove(folder)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as exc:
        log.warning("the converted model %s is damaged and made again: %s", folder.name, exc)
        _remove(folder)
    return None


def keep(converted: Converted, folder: Path) -> None:
    """Write beside the place, then rename: of two processes at once, one entry is kept whole."""
    temporary = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".part-"))
        load_openvino().save_model(converted.model, temporary / MODEL, compress_to_fp16=False)
        _note(converted, temporary)
        os.rename(temporary, folder)
    except (OSError, RuntimeError) as exc:  # the disk is full, or another process was first
        if not folder.is_dir():
            log.warning("a converted model cannot be kept in %s: %s", folder.parent, exc)
        if temporary:
            shutil.rmtree(temporary, ignore_errors=True)


def _note(converted: Converted, folder: Path) -> None:
    note = {
        "sizes": _sizes(folder),
        "many": converted.many,
        "general": converted.general,
        "shapes": converted.shapes,
    }
    (folder / NOTE).write_text(json.dumps(note))


def _sizes(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_size for file in sorted(folder.iterdir()) if file.name != NOTE}


def _remove(folder: Path) -> None:
    """Out of the way first, so that nobody sees half of it."""
    if folder.exists():
        trash = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".old-"))
        try:
            os.rename(folder, trash / folder.name)
        except OSError:
            log.debug("another process removed %s", folder)
        shutil.rmtree(trash, ignore_errors=True)
