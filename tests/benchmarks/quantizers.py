"""Measure what each scheme of each quantizer costs, and write the table into docs/quantizers.md.

    python tests/benchmarks/quantizers.py --write docs/quantizers.md
    python tests/benchmarks/quantizers.py --only quanto:int8 --pictures 4

On the embedded model: the relative L2 distance of each component's results from float32's, for the arguments
that it gets in a job; the bytes of all components; with all of them quantized, the largest difference of a
pixel's channel and the share of held-out captions whose object is recognised. On a tiny SDXL with random
weights: the distance of the UNet's results, and the largest difference of a pixel's channel.
The numbers of one run are equal on another machine but for rounding, so no time is measured.
"""

import argparse
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from latentry import Host, Request
from latentry_emoji.evaluation import benchmark_scenes, score
from latentry_emoji.evaluation.hosting import draw_captions
from latentry_sdk.quantizing import size_of

if TYPE_CHECKING:
    from PIL import Image

CLASSES = ("TextEncoder", "Unet", "VaeEncoder", "VaeDecoder")
COLUMNS = ("text_encoder", "text_encoder_2", "unet", "vae_encoder", "vae_decoder")
HEAD = ("scheme", *COLUMNS, "MB", "pixel", "recognised", "XL: unet", "XL: pixel")
STEPS, FIRST, STORED = 12, "float32", "gguf:stored"
Calls = Mapping[str, Sequence[tuple[Any, ...]]]


def schemes(host: Host) -> list[str]:
    """Every scheme of every quantizer of real models, but the one for what files hold already."""
    specs = [spec for spec in host.registry.quantizers.values() if spec.name != "toy-round"]
    labels = [f"{spec.name}:{scheme}" for spec in specs for scheme in spec.schemes]
    return [label for label in labels if label != STORED]


@contextmanager
def recorded() -> Iterator[list[tuple[str, Any, tuple[Any, ...]]]]:
    """The calls of components while this lasts: class, module and arguments."""
    calls: list[tuple[str, Any, tuple[Any, ...]]] = []

    def keep(module: Any, arguments: tuple[Any, ...]) -> None:
        if type(module).__name__ in CLASSES:
            calls.append((type(module).__name__, module, tuple(value.clone() for value in arguments)))

    handle = torch.nn.modules.module.register_module_forward_pre_hook(keep)
    try:
        yield calls
    finally:
        handle.remove()


def calls_of(host: Host, asked: Request) -> tuple[Mapping[str, Any], Calls]:
    """The components of a model in float32, and up to four calls of each in a job."""
    plan = host.plan(asked)
    components = plan.family.load(plan.header, plan.detected)
    for part in components.values():
        part.module.float()
    with recorded() as calls:
        host.run(asked)
    names = {tuple(part.module.state_dict()): name for name, part in components.items()}
    found: dict[str, list[tuple[Any, ...]]] = {name: [] for name in components}
    for _, module, arguments in calls:
        found[names[tuple(module.state_dict())]].append(arguments)
    return components, {name: each[:: max(1, len(each) // 4)][:4] for name, each in found.items()}


def distances(host: Host, label: str, components: Mapping[str, Any], calls: Calls) -> dict[str, float]:
    """The relative L2 distance of each component's results; "bytes" for those of all of them."""
    name, _, scheme = label.partition(":")
    spec, found = host.registry.quantizers.find(name), {"bytes": 0.0}
    for part, component in components.items():
        if calls[part]:
            changed = spec.apply(component, scheme)
            pairs = [
                (first(changed.module(*given)), first(component.module(*given))) for given in calls[part]
            ]
            apart, whole = (torch.cat([x.flatten() for x in xs]) for xs in zip(*pairs, strict=True))
            found[part] = float((apart - whole).norm() / whole.norm())
            found["bytes"] += size_of(changed.module)
    return found


def first(answer: Any) -> Any:
    """The first of an answer's tensors."""
    return answer[0] if isinstance(answer, tuple) else answer


def largest(made: "Sequence[Image.Image]", seen: "Sequence[Image.Image]") -> int:
    """The largest difference of a pixel's channel, of 255."""
    both = [[np.asarray(picture.convert("RGB"), int) for picture in pictures] for pictures in (made, seen)]
    return int(np.abs(np.stack(both[0]) - np.stack(both[1])).max())


def tiny_xl(folder: Path) -> Path:
    """A diffusers folder with the layout of SDXL, two levels and random weights."""
    from diffusers import DDIMScheduler, StableDiffusionXLPipeline
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    from latentry_sdk.testing import tiny
    from latentry_stable_diffusion.tokenizers import clip_tokenizer

    def encoder(kind: Any, width: int) -> Any:
        sizes = {"hidden_size": width, "intermediate_size": 2 * width, "projection_dim": width}
        ends = {"bos_token_id": 49406, "eos_token_id": 49407}
        return kind(CLIPTextConfig(num_attention_heads=4, num_hidden_layers=3, **sizes, **ends))

    torch.manual_seed(0)
    StableDiffusionXLPipeline(
        text_encoder=encoder(CLIPTextModel, 32),
        text_encoder_2=encoder(CLIPTextModelWithProjection, 48),
        tokenizer=clip_tokenizer("<|endoftext|>"),
        tokenizer_2=clip_tokenizer("!"),
        unet=tiny.unet("sdxl"),
        vae=tiny.vae("sdxl"),
        scheduler=DDIMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012),
        add_watermarker=False,
    ).save_pretrained(folder)
    return folder


class Measurement:
    """Both models in float32, and what they draw, to measure schemes against."""

    def __init__(self, host: Host, folder: Path, pictures: int) -> None:
        from PIL import Image

        self.host, self.scenes = host, benchmark_scenes(pictures)
        grey, mask = Image.new("RGB", (64, 64), (127, 127, 127)), Image.new("L", (64, 64), 255)
        self.emoji = Request(task="txt2img", steps=STEPS, guidance=4.0, seed=0)
        inputs = {"image": grey, "mask": mask}
        painting = Request(task="inpaint", prompt="a red apple", steps=STEPS, seed=1, inputs=inputs)
        self.components, self.calls = calls_of(host, painting)
        self.tiny = Request(task="txt2img", model=str(tiny_xl(folder)), prompt="a", steps=4, seed=1)
        self.tiny_components, self.tiny_calls = calls_of(host, self.tiny)
        self.drawn = self._drawn({})
        self.tiny_drawn = self._tiny_drawn({})

    def plain(self) -> list[str]:
        """The row of float32 itself."""
        size = sum(size_of(self.components[part].module) for part in COLUMNS) / 1e6
        return [FIRST, *["0"] * len(COLUMNS), f"{size:.1f}", "0", self._recognised(self.drawn), "0", "0"]

    def row(self, label: str) -> list[str]:
        """The row of a scheme."""
        found = distances(self.host, label, self.components, self.calls)
        xl = distances(self.host, label, self.tiny_components, self.tiny_calls)
        drawn = self._drawn(dict.fromkeys(self.components, label))
        tiny = self._tiny_drawn(dict.fromkeys(self.tiny_components, label))
        errors = [f"{found[part]:.4f}" for part in COLUMNS]
        apart, tiny_apart = largest(drawn, self.drawn), largest(tiny, self.tiny_drawn)
        size = f"{found['bytes'] / 1e6:.1f}"
        return [
            f"`{label}`",
            *errors,
            size,
            str(apart),
            self._recognised(drawn),
            f"{xl['unet']:.4f}",
            str(tiny_apart),
        ]

    def _drawn(self, quantize: dict[str, str]) -> "list[Image.Image]":
        asked = self.emoji.model_copy(update={"quantize": quantize})
        return draw_captions(self.host, asked, [scene.caption for scene in self.scenes])

    def _tiny_drawn(self, quantize: dict[str, str]) -> "list[Image.Image]":
        result = self.host.run(self.tiny.model_copy(update={"quantize": quantize}))
        return [result.artifacts[0].open()]

    def _recognised(self, pictures: "list[Image.Image]") -> str:
        return f"{score(pictures, self.scenes).recall_1:.2f}"


def written(page: str, rows: Sequence[Sequence[str]]) -> str:
    """The page with these rows in its table; rows of other schemes stay, in their order."""
    start, end = "<!-- measured -->\n", "<!-- /measured -->"
    before, table, after = re.split(f"{start}|{end}", page)
    kept = {line.split("|")[1].strip(): line for line in table.splitlines()[2:] if line.startswith("|")}
    kept |= {row[0]: f"| {' | '.join(row)} |" for row in rows}
    lines = [f"| {' | '.join(HEAD)} |", "|---" * len(HEAD) + "|", *kept.values()]
    return f"{before}{start}{chr(10).join(lines)}\n{end}{after}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write where that is asked for: after each scheme, so that a run can be ended."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", help="a scheme, as quanto:int8; all unless given")
    parser.add_argument("--pictures", type=int, default=20, metavar="N", help="captions to draw")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="the page whose table gets the rows")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, Host() as host, torch.inference_mode():
        measurement = Measurement(host, Path(folder), options.pictures)
        for label in (FIRST, *(options.only or schemes(host))):
            row = measurement.plain() if label == FIRST else measurement.row(label)
            print("  ".join(row), flush=True)
            if options.write:
                page = written(options.write.read_text(encoding="utf-8"), [row])
                options.write.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
