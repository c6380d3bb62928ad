"""Refuse what no engine with weights of its own can do."""

from latentry.errors import Unavailable
from latentry.types import Component


def refuse_managed(component: Component, engine: str) -> None:
    """`Unavailable` if an optimizer moves the component's weights, which a converted model would not see."""
    if component.managed:
        raise Unavailable(
            f"an optimizer moves the weights of {component.name}, which {engine} would not see",
            fix="leave the optimizer out or place the component elsewhere",
        )
