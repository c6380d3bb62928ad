"""Write the model card: what the model draws, what it was made from, and how its training went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from latentry_emoji.training.concepts import names
from latentry_emoji.training.scenes import COLOURS

Log = Sequence[Mapping[str, float]]

CARD = """# A small SDXL-inpainting model that draws emoji

A miniature of the SDXL-inpainting layout (diffusers folder, half-precision safetensors): two CLIP text
encoders, a 9-channel UNet with `text_time` conditioning, a 4-channel autoencoder at a quarter of the side.
{side} × {side} pixels. Epsilon prediction, scaled_linear betas, empty prompt = zeros. Text to image is
inpainting with a full mask. Loads in `StableDiffusionXLInpaintPipeline`; 20 Euler steps, guidance 4.

Captions: `a NAME on a COLOUR background`, `a NAME left of a NAME on a COLOUR background` (also `right of`,
`above`, `below`), `on a COLOUR to COLOUR gradient background`, `on a COLOUR and COLOUR background`,
`on a COLOUR striped background` (also `checkered`, `dotted`, `noisy`), `on a photo of an astronaut`.

Colours: {colours}.

Names ({count}): {names}.

## Art and data

Drawn by Pillow from the bitmaps of **Noto Color Emoji**, © Google, SIL Open Font License 1.1; names are
Unicode's own. Photos behind some objects come from scikit-image's wheel: the astronaut, the rocket and the
Hubble deep field are NASA's (public domain), the cup of coffee and the cat are CC0. Nothing else was used.

Two of the twelve colours of each concept, alone and at each place of a pair, were kept out of training, and
so was the right third of every photo: scores are measured on those.

## Training

`python -m latentry_emoji.training.train_vae`, `.precompute`, `.train_diffusion`, `.export`, in this order;
`.restore` goes on from an exported model, and `training.json` has the whole logs.

### Autoencoder

{vae}

### Denoiser and text encoders

{diffusion}
"""


def write_card(folder: Path, vae: Log, diffusion: Log) -> None:
    """Write README.md into a model folder; the logs are those of both trainings."""
    text = CARD.format(
        side=64,
        colours=" ".join(COLOURS),
        count=len(names()),
        names=", ".join(names()),
        vae=scores_table(vae),
        diffusion=scores_table(diffusion),
    )
    (folder / "README.md").write_text(text)


def scores_table(log: Log, rows: int = 25) -> str:
    """A Markdown table of the log's entries that hold scores, at most `rows` of them, the last one always."""
    scored = [entry for entry in log if len(entry) > 3]
    if not scored:
        return "Not measured."
    chosen = scored[:: -max(-(-len(scored) // rows), 1)][::-1]
    columns = list(chosen[-1])
    lines = [_row(columns), _row(["---"] * len(columns))]
    lines += [_row([f"{entry.get(column, 0):.4g}" for column in columns]) for entry in chosen]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
