"""Read the multipart form of an edit: texts, one picture, and perhaps a mask."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

from latentry_api_openai.failures import BadParameter

MOST_FILES, MOST_FIELDS, LONGEST_TEXT = 32, 256, 1 << 20
"""Parts of a form, and bytes of a part that is no file."""

NESTED = re.compile(r"options\[([^][]+)\]\[([^][]+)\](\[\])?")
"""`options[owner][name]`, and `[]` after it for one of several values, as clients flatten nested options."""

PICTURES = {"image": "image", "image[]": "image", "mask": "mask"}


@dataclass(frozen=True)
class Form:
    """The parts of an edit: texts and files by name."""

    texts: Mapping[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    pictures: Mapping[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))

    @property
    def fields(self) -> Mapping[str, Any]:
        """The texts by field, with the options nested again; `BadParameter` for what was sent twice."""
        fields: dict[str, Any] = {}
        options: dict[str, dict[str, Any]] = {}
        for name, values in self.texts.items():
            nested = NESTED.fullmatch(name)
            target = fields if nested is None else options.setdefault(nested[1], {})
            key = name if nested is None else nested[2]
            several = nested is not None and nested[3]
            if key in target or (len(values) > 1 and not several):
                raise BadParameter(name, f"{name} was sent twice")
            target[key] = values if several else values[0]
        if options and "options" in fields:
            raise BadParameter("options", "options were sent twice")
        return {**fields, "options": options} if options else fields

    @property
    def image(self) -> bytes:
        """The one picture; `BadParameter` for none or more."""
        if not self.pictures["image"]:
            raise BadParameter("image", "an edit needs the part image", "missing_required_parameter")
        return _only("image", self.pictures["image"])

    @property
    def mask(self) -> bytes | None:
        """The mask, if there is one."""
        return _only("mask", self.pictures["mask"]) if self.pictures["mask"] else None


async def read_form(request: Request) -> Form:
    """The form of a request, read whole; Starlette's `HTTPException` for what is none or too much."""
    form = Form()
    limits = {"max_files": MOST_FILES, "max_fields": MOST_FIELDS, "max_part_size": LONGEST_TEXT}
    async with request.form(**limits) as parts:
        for name, part in parts.multi_items():
            if isinstance(part, str):
                form.texts[name].append(part)
            elif name in PICTURES:
                form.pictures[PICTURES[name]].append(await part.read())
            else:
                raise BadParameter(name, f"{name} is a file; the files of an edit are image and mask")
    return form


def _only(name: str, files: Sequence[bytes]) -> bytes:
    if len(files) > 1:
        raise BadParameter(name, f"one {name} can be used at a time, and {len(files)} were sent")
    return files[0]
