"""Have NNCF round a UNet to 8 bits, weights and activations, with ranges from arguments that are drawn here.

Nobody's pictures and texts are needed: what most layers get was normed just before.
"""

import math
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from latentry_openvino.calling import as_numpy
from latentry_openvino.runtime import TELEMETRY
from latentry_sdk.engines import Converted
from latentry_sdk.hiding import hidden
from latentry_sdk.quiet import quiet

if TYPE_CHECKING:
    from torch import Tensor

TIMESTEPS = (1, 20, 60, 100, 200, 300, 400, 500, 600, 700, 850, 990)
SIDE = 64

PROMPT = ".*attn2.*"
"""Cross-attention stays as it is: it reads what a text encoder gave, whose range cannot be known here."""

DEPENDS = ("nncf", "int8: 1")
"""Of what a rounded model depends beside the plain one; the number is that of the way it is made."""


def rounded(converted: Converted, arrays: Sequence["Tensor"]) -> Converted:
    """The UNet in 8 bits, for all arguments that `converted` is for; NNCF's progress goes to stderr.

    `arrays` are arguments of it: latents (rows, channels, height, width), a timestep, and texts. Where any
    size will do, latents for the ranges have at most `SIDE` rows and columns, since large ones take long.
    """
    latents, *rest = arrays
    like = [latents[..., :SIDE, :SIDE] if converted.general else latents, *rest]
    return replace(converted, model=_quantized(converted.model, like))


def _quantized(model: Any, arrays: Sequence["Tensor"]) -> Any:
    with quiet(), hidden(TELEMETRY):
        import nncf

    unsmoothed = nncf.AdvancedSmoothQuantParameters(matmul=-1, convolution=-1)
    with quiet(), redirect_stdout(sys.stderr):
        return nncf.quantize(
            model,
            nncf.Dataset([drawn(arrays, timestep, seed) for seed, timestep in enumerate(TIMESTEPS)]),
            subset_size=len(TIMESTEPS),
            preset=nncf.QuantizationPreset.MIXED,
            model_type=nncf.ModelType.TRANSFORMER,
            ignored_scope=nncf.IgnoredScope(patterns=[PROMPT], validate=False),
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                disable_bias_correction=True, smooth_quant_alphas=unsmoothed
            ),
        )


def drawn(arrays: Sequence["Tensor"], timestep: int, seed: int) -> list[Any]:
    """Arguments like `arrays`, at a timestep of 1000: latents that are as noisy, and noise for the texts.

    As a picture's, latents are smooth but for the noise; both together always have a variance near 1.
    """
    import torch
    from torch.nn.functional import interpolate

    draws = torch.Generator().manual_seed(seed)
    latents, _, *texts = arrays
    angle = math.pi / 2 * timestep / 1000
    coarse = torch.randn(*latents.shape[:2], 4, 4, generator=draws)
    smooth = interpolate(coarse, size=latents.shape[2:], mode="bicubic")
    noise = torch.randn(latents.shape, generator=draws)
    others = [torch.randn(text.shape, generator=draws) for text in texts]
    mixed = math.cos(angle) * smooth / smooth.std() + math.sin(angle) * noise
    return [*map(as_numpy, (mixed, torch.full_like(arrays[1], timestep), *others))]
