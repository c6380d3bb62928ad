"""Perturbed-attention guidance, arXiv:2403.17377: away from a picture whose parts do not see one another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator

from latentry_sdk import (
    JOB,
    PLACED,
    Field,
    InvalidRequest,
    ModelRange,
    Name,
    Number,
    Options,
    StageSpec,
    State,
    hookimpl,
    timestep_at,
)
from latentry_sdk.guidance import PROMPT, Guide, Moment, Row, add_guide, add_row, check_guides, needs_guides
from latentry_sdk.levels import levels_of
from latentry_sdk.modules import placed_module

if TYPE_CHECKING:
    from torch import Tensor

UNET = "unet"
PERTURBED = "perturbed"
"""The row with the prompt whose attention is perturbed."""


def _listed(value: Any) -> Any:
    """A text of names with commas between them, or one such text in a list, as a list of names."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, (list, tuple)) or not all(isinstance(text, str) for text in texts):
        return value
    return [name.strip() for text in texts for name in text.split(",")]


class PagOptions(Options):
    """How far to go away from the perturbed prediction, and where attention is perturbed."""

    pag_scale: Number = Field(0.0, ge=0, le=100, description="Perturbed-attention guidance; 0 is off")
    pag_adaptive: Number = Field(
        0.0, ge=0, le=100, description="What its scale loses with each training timestep below 1000"
    )
    pag_layers: Annotated[tuple[Name, ...], BeforeValidator(_listed)] = Field(
        ("mid",),
        min_length=1,
        max_length=256,
        description="Where attention is perturbed: mid, down.block_1, up.block_0.attentions_0 …",
    )


@hookimpl
def register_stages() -> Sequence[StageSpec]:
    """The stage before the family's denoiser."""
    return [
        StageSpec(
            "pag",
            perturb,
            needs=(JOB, PLACED),
            options=PagOptions,
            further=needs_guides(PagOptions),
            description="Guide away from what is seen without self-attention",
        )
    ]


def perturb(state: State) -> State:
    """Ask for the perturbed row, and guide away from it, until the job ends."""
    job, options = state[JOB], state[JOB].options(PagOptions)
    if options.pag_scale == 0:
        return state
    check_guides(state)
    from latentry_pag.attention import Perturbation, chosen, self_attentions

    found = self_attentions(placed_module(state, UNET)) if UNET in state[PLACED] else {}
    if not found:
        raise InvalidRequest(f"{job.plan.family.name!r} models have no attention that could be perturbed")
    perturbation = Perturbation()
    job.undos.callback(perturbation.install(chosen(found, options.pag_layers)))
    away = Away(options.pag_scale, options.pag_adaptive, levels_of(job.plan))
    layers = list(options.pag_layers)
    job.apply("pag", {"scale": options.pag_scale, "adaptive": options.pag_adaptive, "layers": layers})
    return add_guide(add_row(state, Row(PERTURBED, perturbation.turn)), away.around)


@dataclass(frozen=True)
class Away:
    """Guidance away from the perturbed prediction p: out + s (c - p), where c is the prompt's.

    s = max(0, scale - adaptive (1000 - t)) at training timestep t.
    """

    scale: float
    adaptive: float
    model_range: ModelRange

    def around(self, inner: Guide) -> Guide:
        """`inner`, and then away."""

        def guide(rows: "Mapping[str, Tensor]", moment: Moment) -> "Tensor":
            out: Tensor = inner(rows, moment)
            return out + self.at(moment.sigma) * (rows[PROMPT] - rows[PERTURBED])

        return guide

    def at(self, sigma: float) -> float:
        """The scale at a noise level."""
        if not self.adaptive:
            return self.scale
        return max(0.0, self.scale - self.adaptive * (1000 - timestep_at(self.model_range, sigma)))
