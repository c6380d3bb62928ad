"""How many values a call of each component holds at its peak, walked through as diffusers' code runs it.

A walk counts what is alive: what callers still hold (`held`), and what the layer at hand makes. It follows
UNet2DConditionModel and AutoencoderKL with fused attention; workspaces of convolutions are not in it.
"""

from collections.abc import Iterator

from latentry_sdk import Detected, Plan, Work
from latentry_stable_diffusion.details import INPAINT, Details
from latentry_stable_diffusion.layout import Layout, Level
from latentry_stable_diffusion.modules import MOST_SKIPPED

TRANSFORMER = 20
"""Times n values that a transformer block of n makes: its input, the gated layer's 4 + 8 + 4, and 3 more."""

ATTENTION = 6
"""Times n values that self-attention in a VAE makes: query, key, value, the answer and two copies."""


def work(plan: Plan, part: str) -> Work:
    """The largest call of a component in a job: the rows of guidance for the UNet, a picture for the VAE.

    A job that encodes no picture calls the encoder with none.
    """
    from latentry_stable_diffusion.denoising import DenoiseOptions

    rows = 1
    if part == "unet":
        given = [each for each in plan.options.values() if isinstance(each, DenoiseOptions)]
        at_once = max((each.at_once for each in given), default=1)
        rows = min(at_once, plan.request.batch) * guided_rows(plan)
    return Work(part, plan.size, 0 if part == "vae_encoder" and not _encodes(plan) else rows)


def guided_rows(plan: Plan) -> int:
    """Rows that an image has in a call of the UNet: with guidance, one more for what is not wanted."""
    return 2 if plan.request.guidance > 1 else 1


def _encodes(plan: Plan) -> bool:
    """Whether a stage of the job may encode a picture, or a further plan may need it."""
    asked = plan.family.roles["encode_image"] in {stage.name for stage in plan.stages}
    return asked or INPAINT in plan.detected.features or any(plan.further.values())


def activations(detected: Detected, work: Work) -> int:
    """Values that a call of `work.part` holds at its peak, its arguments and its result among them."""
    layout, details = Layout.of(detected.details), Details(**detected.details)
    width, height = work.size
    pixels = work.count * width * height
    latents = pixels // details.factor**2
    if work.part == "unet":
        arguments = latents * details.channels + work.count * details.tokens * layout.context
        return arguments + max(_unet(layout, latents))
    if work.part == "vae_decoder":
        return latents * details.latent_channels + max(_decoder(layout.vae, latents))
    if work.part == "vae_encoder":
        return 3 * pixels + max(_encoder(layout.vae, pixels))
    penultimate = len(layout.text) > 1 or "text_encoder_2" in layout.text
    return work.count * details.tokens * _text(*layout.text[work.part], penultimate=penultimate)


def _text(width: int, layers: int, inner: int, *, penultimate: bool) -> int:
    """Values a token, at the end or in the last layer.

    At the end these are all hidden states, those given back, and where they are normed those once more.
    """
    given = min(layers + 1 - penultimate, MOST_SKIPPED)
    return max(width * (layers + 2 + (given if penultimate else 2 * given)), width * (layers + 2) + 3 * inner)


def _resnet(held: int, given: int, made: int) -> int:
    """A residual block from `given` to `made` values; one that changes the channels has a shortcut."""
    return held + max(2 * given, given + made, (3 if given == made else 4) * made)


def _unet(layout: Layout, area: int) -> Iterator[int]:
    """What is alive at each layer, down, in the middle, and up with the skips from the way down."""
    skips = [layout.unet[0].channels * area]
    hidden = skips[0]
    for index, level in enumerate(layout.unet):
        made = level.channels * area
        for _ in range(level.layers):
            yield _resnet(sum(skips), hidden, made)
            yield sum(skips) + made * (1 + TRANSFORMER * (level.down > 0))
            skips.append(made)
            hidden = made
        if index < len(layout.unet) - 1:
            area //= 4
            hidden = level.channels * area
            skips.append(hidden)
    yield _resnet(sum(skips) + hidden, hidden, hidden)
    yield sum(skips) + hidden * (1 + TRANSFORMER * (layout.middle > 0))
    for index, level in enumerate(reversed(layout.unet)):
        own, sample, made = skips[-level.layers - 1 :], hidden, level.channels * area
        held = sum(skips) + sample
        for skip in reversed(own):
            yield held + hidden + skip + (hidden if hidden is not sample else 0)
            yield _resnet(held + hidden + skip, hidden + skip, made)
            yield held + made * (1 + TRANSFORMER * (level.up > 0))
            hidden = made
        del skips[-len(own) :]
        if index < len(layout.unet) - 1:
            yield held + 9 * hidden
            area, hidden = 4 * area, 4 * hidden


def _middle(held: int) -> Iterator[int]:
    """The VAE's middle on `held` values: residual blocks around self-attention."""
    yield _resnet(2 * held, held, held)
    yield (2 + ATTENTION) * held


def _decoder(levels: tuple[Level, ...], area: int) -> Iterator[int]:
    """From latents to pixels."""
    hidden = levels[-1].channels * area
    yield from _middle(hidden)
    for index, level in enumerate(reversed(levels)):
        sample, made = hidden, level.channels * area
        for layer in range(level.layers + 1):
            yield _resnet(sample + (hidden if layer else 0), hidden, made)
            hidden = made
        if index < len(levels) - 1:
            yield sample + 9 * hidden
            area, hidden = 4 * area, 4 * hidden
    yield 3 * hidden


def _encoder(levels: tuple[Level, ...], area: int) -> Iterator[int]:
    """From pixels to latents."""
    hidden = levels[0].channels * area
    for index, level in enumerate(levels):
        sample, made = hidden, level.channels * area
        for layer in range(level.layers):
            yield _resnet(sample + (hidden if layer else 0), hidden, made)
            hidden = made
        if index < len(levels) - 1:
            yield sample + 2 * hidden + hidden // 4
            area, hidden = area // 4, hidden // 4
    yield from _middle(hidden)
