"""Make a checkpoint's CLIP tokenizers."""

from collections.abc import Mapping
from functools import lru_cache
from gzip import decompress
from pathlib import Path
from typing import Any

from latentry_sdk import Job, ModelHeader, read_config
from latentry_stable_diffusion.architectures import ARCHITECTURES
from latentry_stable_diffusion.details import Details
from latentry_stable_diffusion.fitting import fits

MERGES = Path(__file__).parent / "vocabulary" / "merges.txt.gz"
START, END = "<|startoftext|>", "<|endoftext|>"
PADDING = {"sd1": (END,), "sd2": ("!",), "sdxl": (END, "!"), "sdxl-refiner": ("!",)}


def tokenizers(job: Job) -> Mapping[str, Any]:
    """One tokenizer for each text encoder, by the encoder's name."""
    architecture = Details.of(job).architecture
    encoders = ARCHITECTURES[architecture].encoders
    header = job.plan.header
    if not header.is_folder:
        return dict(zip(encoders, map(clip_tokenizer, PADDING[architecture]), strict=True))
    return {name: _folder_tokenizer(header, name.replace("text_encoder", "tokenizer")) for name in encoders}


@lru_cache(maxsize=2)
def clip_tokenizer(padding: str) -> Any:
    """CLIP's tokenizer of 49,408 tokens, which fills up with `padding`."""
    from transformers import CLIPTokenizer

    merges = [tuple(line.split()) for line in decompress(MERGES.read_bytes()).decode().splitlines()]
    letters = byte_letters()
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *map("".join, merges), START, END]
    vocab = {token: number for number, token in enumerate(tokens)}
    return CLIPTokenizer(vocab=vocab, merges=merges, pad_token=padding, model_max_length=77)


def byte_letters() -> list[str]:
    """A printable letter for each of the 256 bytes, in CLIP's order: printable ones first."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return [*map(chr, printable), *(chr(256 + i) for i in range(256 - len(printable)))]


def _folder_tokenizer(header: ModelHeader, part: str) -> Any:
    folder = header.path / part
    with fits(header, part):
        changed = max(file.stat().st_mtime_ns for file in folder.iterdir())
        return _read_tokenizer(folder, changed)


@lru_cache(maxsize=4)
def _read_tokenizer(folder: Path, _changed: int) -> Any:
    from transformers import CLIPTokenizer

    config = folder / "tokenizer_config.json"
    if config.is_file():
        read_config(config)  # refuses code
    return CLIPTokenizer.from_pretrained(str(folder), local_files_only=True)
