"""Lay named styles around a prompt."""

from collections.abc import Mapping, Sequence

from latentry_sdk import UnknownName
from latentry_sdk.styles import Style

PLACE = "{prompt}"


def styled(prompt: str, negative: str, names: Sequence[str], known: Mapping[str, Style]) -> tuple[str, str]:
    """Prompt and negative prompt with the named styles laid around them, in order."""
    for name in names:
        if name not in known:
            raise UnknownName("style", name, known)
        prompt, negative = laid(known[name].prompt, prompt), laid(known[name].negative, negative)
    return prompt, negative


def laid(style: str, text: str) -> str:
    """`text` in the style's place for it, or before the style."""
    if PLACE in style:
        return style.replace(PLACE, text)
    return ", ".join(part for part in (text.strip(), style.strip()) if part)
