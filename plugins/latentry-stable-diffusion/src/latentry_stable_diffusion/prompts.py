"""The role encode_prompt: prompts to CLIP embeddings, as diffusers' pipelines make them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from latentry_sdk import CONDITIONING, JOB, PLACED, Job, Placed, State
from latentry_stable_diffusion.details import Details
from latentry_stable_diffusion.tokenizers import input_ids, tokenizers

if TYPE_CHECKING:
    from torch import Tensor

SHOWN = 200  # characters of a text that was cut


@dataclass(frozen=True)
class Embedding:
    """One text: `hidden` (1 or batch, tokens, width), and `pooled` (1 or batch, width)."""

    hidden: "Tensor"
    pooled: "Tensor"


@dataclass(frozen=True)
class Conditioning:
    """The prompt's embedding, and the negative prompt's where guidance needs it."""

    cond: Embedding
    uncond: Embedding | None = None


def encode_prompt(state: State) -> State:
    """Encode the prompt, and the negative one when guidance is above 1."""
    import torch

    job, placed = state[JOB], state[PLACED]
    request = job.plan.request
    readers = tokenizers(job)
    cond = _encode(request.prompt, "prompt", job=job, placed=placed, readers=readers)
    uncond = None
    if request.guidance > 1:
        zeros = Details.of(job).zero_empty_negative and not request.negative
        uncond = (
            Embedding(torch.zeros_like(cond.hidden), torch.zeros_like(cond.pooled))
            if zeros
            else _encode(request.negative, "negative prompt", job=job, placed=placed, readers=readers)
        )
    return state.put(CONDITIONING, Conditioning(cond, uncond))


def _encode(
    text: str, called: str, *, job: Job, placed: Mapping[str, Placed], readers: Mapping[str, Any]
) -> Embedding:
    """All encoders' hidden states side by side, and the last encoder's pooled output."""
    import torch

    limit = Details.of(job).tokens
    hidden = []
    for name, tokenizer in readers.items():
        ids, left_out = input_ids(tokenizer, text, limit)
        if left_out:
            job.warn(f"the {called} is longer than {limit} tokens; left out: {_short(left_out)}")
        states, pooled = placed[name](ids)
        hidden.append(states.float())
    return Embedding(torch.cat(hidden, dim=-1), pooled.float())


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
