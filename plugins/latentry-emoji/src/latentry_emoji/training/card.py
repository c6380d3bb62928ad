"""``python -m latentry_emoji.training.card``: write the card of an exported model anew, with its scores."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from latentry_emoji.training.concepts import names
from latentry_emoji.training.scenes import COLOURS
from latentry_emoji.training.stages import DIFFUSION, LOGS, VAE

Log = Sequence[Mapping[str, float]]
Scores = Mapping[str, Mapping[str, float]]

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

## Scores

{scores}

## Training

`python -m latentry_emoji.training.train_vae`, `.precompute`, `.train_diffusion`, `.export`, in this order;
`.restore` goes on from an exported model, and `training.json` has the whole logs. {how}

### Autoencoder

{vae}

### Denoiser and text encoders

{diffusion}
"""


def main(arguments: list[str] | None = None) -> None:
    """Write README.md from the model's own logs, and from what `latentry_emoji.evaluation` printed."""
    parser = argparse.ArgumentParser(prog="latentry_emoji.training.card", description=main.__doc__)
    parser.add_argument("--model", type=Path, required=True, help="a folder that export wrote")
    parser.add_argument("--scores", type=Path, help="a file with what the evaluation printed")
    parser.add_argument("--how", default="", help="what the logs leave out: options, machine, time")
    options = parser.parse_args(arguments)
    scores = json.loads(options.scores.read_text()) if options.scores else {}
    write_card(options.model, json.loads((options.model / LOGS).read_text()), scores, options.how)


def write_card(folder: Path, logs: Mapping[str, Log], scores: Scores | None = None, how: str = "") -> None:
    """Write README.md into a model folder; the logs are those of both trainings."""
    text = CARD.format(
        side=64,
        colours=" ".join(COLOURS),
        count=len(names()),
        names=", ".join(names()),
        scores=evaluation_table(scores or {}),
        how=how,
        vae=scores_table(logs[VAE]),
        diffusion=scores_table(logs[DIFFUSION]),
    )
    (folder / "README.md").write_text(text)


def evaluation_table(scores: Scores) -> str:
    """A Markdown table of what the evaluation printed: what was asked for, the measure, its value."""
    if not scores:
        return "Not measured."
    rows = [(part, name, f"{value:.4g}") for part, found in scores.items() for name, value in found.items()]
    return "\n".join(_row(row) for row in [("what", "measure", "value"), ("---",) * 3, *rows])


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


if __name__ == "__main__":
    main()
