"""Read the text that AUTOMATIC1111 and Latentry write into pictures."""

import json
import re
from collections.abc import Mapping
from contextlib import suppress

SETTING = re.compile(r'\s*(\w[\w /+-]{0,80}):\s*("(?:\\.|[^\\"])*"|[^,]*)(?:,|$)')
NEGATIVE = "Negative prompt:"
FEWEST = 3
"""Settings that make a line the last one of a record rather than of a prompt."""


def read(text: str) -> Mapping[str, str]:
    """Prompt, negative prompt and the settings of the last line, each by its name there.

    A prompt that looks like settings stays a prompt: only the last line is read for them. A value that is
    a JSON string is that string.
    """
    *lines, last = text.strip().split("\n")
    settings = {match[1]: _plain(match[2]) for match in SETTING.finditer(last)}
    if len(settings) < FEWEST:
        lines, settings = [*lines, last], {}
    start = next((place for place, line in enumerate(lines) if line.startswith(NEGATIVE)), len(lines))
    negative = "\n".join(lines[start:]).removeprefix(NEGATIVE)
    return {"Prompt": "\n".join(lines[:start]).strip(), "Negative prompt": negative.strip(), **settings}


def _plain(value: str) -> str:
    value = value.strip()
    if value.startswith('"'):
        with suppress(ValueError):
            return str(json.loads(value))
    return value
