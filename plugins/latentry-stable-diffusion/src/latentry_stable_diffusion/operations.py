"""How many operations with floats a job asks of each component; a product and a sum are two.

Counted are convolutions, matrix products and attention, from the sizes of layers alone, and for one row, of
which a layer sees `area` pixels.
"""

from collections.abc import Iterator
from dataclasses import replace
from math import prod

from latentry_sdk import Detected, Plan, Work
from latentry_sdk.evaluations import evaluations
from latentry_stable_diffusion.activations import guided_rows, work
from latentry_stable_diffusion.details import Details
from latentry_stable_diffusion.layout import Layout, Level

FILTER = 9
"""Weights of a 3 × 3 filter."""

EMBEDDING = 4
"""Times the finest level's channels, the width of a UNet's embedded timestep."""


def operations(plan: Plan, part: str) -> int:
    """Of all calls of a component in a job: prompts of one chunk are read, and one picture, if any."""
    asked, guided, batch = work(plan, part), guided_rows(plan), plan.request.batch
    rows = {"unet": batch * guided, "vae_decoder": batch, "vae_encoder": asked.count}.get(part, guided)
    calls = evaluations(plan) if part == "unet" else 1
    return calls * call_operations(plan.detected, replace(asked, count=rows))


def call_operations(detected: Detected, work: Work) -> int:
    """Of calls with `work.count` rows together."""
    layout, details = Layout.of(detected.details), Details(**detected.details)
    pixels = prod(work.size)
    latents = pixels // details.factor**2
    if work.part == "unet":
        return work.count * sum(_unet(layout, details, latents))
    if work.part == "vae_decoder":
        return work.count * sum(_decoder(layout.vae, details.latent_channels, latents))
    if work.part == "vae_encoder":
        return work.count * sum(_encoder(layout.vae, details.latent_channels, pixels))
    return work.count * _text(*layout.text[work.part], details.tokens)


def _text(width: int, layers: int, inner: int, tokens: int) -> int:
    attention = _product(width, 4 * width, tokens) + _attended(width, tokens, tokens)
    return layers * (attention + _product(width, 2 * inner, tokens))


def _product(given: int, made: int, area: int) -> int:
    """A matrix of `made` rows times `area` columns of `given` values."""
    return 2 * given * made * area


def _convolved(given: int, made: int, area: int) -> int:
    return FILTER * _product(given, made, area)


def _attended(channels: int, queries: int, keys: int) -> int:
    """Scores of all queries with all keys, and the values that they weigh."""
    return 2 * _product(channels, keys, queries)


def _resnet(given: int, made: int, area: int, embedding: int = 0) -> int:
    shortcut = 0 if given == made else _product(given, made, area)
    convolved = _convolved(given, made, area) + _convolved(made, made, area)
    return convolved + shortcut + _product(embedding, made, 1)


def _transformer(channels: int, depth: int, area: int, context: int, tokens: int) -> int:
    """`depth` blocks between two projections: self-attention, cross-attention, a gated layer of 4 times."""
    if not depth:
        return 0
    own = _product(channels, 4 * channels, area) + _attended(channels, area, area)
    text = _product(context, 2 * channels, tokens) + _attended(channels, area, tokens)
    crossed = _product(channels, 2 * channels, area) + text
    gated = _product(channels, 8 * channels, area) + _product(4 * channels, channels, area)
    return _product(channels, 2 * channels, area) + depth * (own + crossed + gated)


def _unet(layout: Layout, details: Details, area: int) -> Iterator[int]:
    """A row through the UNet: down, the middle, and up with what the way down has kept."""
    levels, first = layout.unet, layout.unet[0].channels
    embedding = EMBEDDING * first
    text = layout.context, details.tokens
    yield _product(first, embedding, 1) + _product(embedding, embedding, 1)
    yield _convolved(details.channels, first, area)
    hidden, skips = first, [first]
    for index, level in enumerate(levels):
        for _ in range(level.layers):
            yield _resnet(hidden, level.channels, area, embedding)
            yield _transformer(level.channels, level.down, area, *text)
            hidden = level.channels
            skips.append(hidden)
        if index < len(levels) - 1:
            area //= 4
            yield _convolved(hidden, hidden, area)
            skips.append(hidden)
    yield 2 * _resnet(hidden, hidden, area, embedding) + _transformer(hidden, layout.middle, area, *text)
    for index, level in enumerate(reversed(levels)):
        for _ in range(level.layers + 1):
            yield _resnet(hidden + skips.pop(), level.channels, area, embedding)
            yield _transformer(level.channels, level.up, area, *text)
            hidden = level.channels
        if index < len(levels) - 1:
            area *= 4
            yield _convolved(hidden, hidden, area)
    yield _convolved(first, details.latent_channels, area)


def _middle(channels: int, area: int) -> int:
    """A VAE's middle: residual blocks around self-attention."""
    attention = _product(channels, 4 * channels, area) + _attended(channels, area, area)
    return 2 * _resnet(channels, channels, area) + attention


def _decoder(levels: tuple[Level, ...], latent: int, area: int) -> Iterator[int]:
    """From latents to pixels."""
    hidden = levels[-1].channels
    yield _product(latent, latent, area) + _convolved(latent, hidden, area)
    yield _middle(hidden, area)
    for index, level in enumerate(reversed(levels)):
        for _ in range(level.layers + 1):
            yield _resnet(hidden, level.channels, area)
            hidden = level.channels
        if index < len(levels) - 1:
            area *= 4
            yield _convolved(hidden, hidden, area)
    yield _convolved(hidden, 3, area)


def _encoder(levels: tuple[Level, ...], latent: int, area: int) -> Iterator[int]:
    """From pixels to the mean and deviation of latents."""
    hidden = levels[0].channels
    yield _convolved(3, hidden, area)
    for index, level in enumerate(levels):
        for _ in range(level.layers):
            yield _resnet(hidden, level.channels, area)
            hidden = level.channels
        if index < len(levels) - 1:
            area //= 4
            yield _convolved(hidden, hidden, area)
    yield _middle(hidden, area)
    yield _convolved(hidden, 2 * latent, area) + _product(2 * latent, 2 * latent, area)
