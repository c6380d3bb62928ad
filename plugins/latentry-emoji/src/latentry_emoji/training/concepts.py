"""Name the things the embedded model can draw, one emoji each, chosen to look unlike one another."""

import unicodedata
from dataclasses import dataclass

FOOD = "🍕🍎🍌🍓🍉🍊🍋🍇🍍🍒🍑🍐🥝🥑🍅🍆🌽🥕🌶🥦🍄🥜🌰🍞🥐🥨🧀🍖🍗🍔🍟🌭🌮🍳🍿🍣🍤🍦🍩🍪🎂🍰🧁🍭🍯🍵🍷🍸🥒🧅"
ANIMALS = "🐱🐶🐼🦊🐸🐵🐷🐮🐯🦁🐰🐻🐨🐭🐔🐧🦉🦆🦅🦇🐝🐛🦋🐌🐞🕷🐢🦎🐙🦑🦐🦀🐡🐠🐬🐳🦈🐊🐘🦏🐪🦒🐓🦃🦜🦔🦄🐲"
NATURE = "🌲🌳🌴🌵🌻🌹🌷🍀🍁🌈🔥💧🌍🌊"
VEHICLES = "🚗🚕🚌🚑🚜🚲🛵🚂🚁🚀🛸⛵⚓🚦"
OBJECTS = "⚽🏀🏈🎾🎱🎯🎲🎮🎸🎺🎻🥁🎹📷📺💻💡🔑🔒🔨🧲🔬💎👑🎩👞👕👖👗🎒🎁🎈🏆🚪🧸🪁⏰💰📎🗿⛄🏠🏰⛺"
FIGURES = "😎💀👻👽🤖🎃💩"
PLURAL = ("grapes", "cherries", "peanuts", "french fries", "jeans")


@dataclass(frozen=True)
class Concept:
    """A thing with a name in plain words and the one character that draws it."""

    name: str
    character: str


def concepts() -> tuple[Concept, ...]:
    """Every concept, in a fixed order; names are Unicode's own in lower case, such as ``slice of pizza``."""
    characters = FOOD + ANIMALS + NATURE + VEHICLES + OBJECTS + FIGURES
    return tuple(Concept(unicodedata.name(character).lower(), character) for character in characters)


def names() -> tuple[str, ...]:
    """The names of every concept, in the order of `concepts`."""
    return tuple(concept.name for concept in concepts())


def with_article(phrase: str) -> str:
    """Put "a" or "an" before a phrase, nothing before a plural name."""
    if phrase in PLURAL:
        return phrase
    return f"{'an' if phrase[0] in 'aeio' else 'a'} {phrase}"
