"""Draw with every sampler and every scheduler, and show in docs/pairs.md what can be recognised.

    python tests/benchmarks/sampler_pairs.py
    python tests/benchmarks/sampler_pairs.py --samplers euler,heun

The embedded model draws a few captions in 12 steps with each pair, and the evaluation of latentry-emoji looks
for the object among all of its concepts. A cell of the page's table is the share of pictures whose object is
among the best five. The rows of the samplers that were named are drawn anew, all unless given, and each is
written when it is done; the picture is painted from the whole table.
"""

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from latentry import Config, Host, Request
from latentry_emoji.evaluation import benchmark_scenes
from latentry_emoji.evaluation.hosting import draw_captions
from latentry_emoji.evaluation.matching import Matcher
from latentry_emoji.evaluation.scoring import border_colour
from latentry_emoji.training.artwork import shipped

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

DOCS = Path(__file__).parents[2] / "docs"
PAGE, PICTURE = DOCS / "pairs.md", DOCS / "pictures" / "pairs.png"
TABLE = re.compile(r"<!-- pairs -->\n\n(?P<table>(?:\|.*\n)*)")
WEAK = "<!-- not recognisable -->"
ROW = re.compile(r"^\| `(?P<sampler>\w+)` \|(?P<cells>(?: \d\.\d\d \|)+)$", re.M)
NAMES, STEPS, SEED = ("bus", "hamburger", "penguin"), 12, 1
"""What the model draws well, and how."""

GUIDANCE = 1.5
"""More than that, in so few steps, asks too much of samplers that extrapolate over uneven steps."""

CELL, LEFT, TOP = 22, 190, 120
Shares = Mapping[str, Mapping[str, float]]
"""By sampler and scheduler."""


def names(host: Host) -> tuple[list[str], list[str]]:
    """All samplers of latentry-samplers, and the schedules that need no levels from the user."""
    samplers, schedulers = host.registry.samplers, host.registry.schedulers
    ours = [name for name in samplers if samplers.owners[name] == "samplers"]
    theirs = [name for name in schedulers if schedulers.owners[name] == "schedules"]
    return ours, [name for name in theirs if name not in ("sigmas", "timesteps")]


def request(sampler: str, scheduler: str) -> Request:
    """The pair as it is drawn, but for the caption."""
    return Request(
        task="txt2img", model="emoji", steps=STEPS, seed=SEED, sampler=sampler, scheduler=scheduler,
        guidance=GUIDANCE,
    )  # fmt: skip


def ranks(host: Host, matcher: Matcher, asked: Request, *, count: int = len(NAMES)) -> list[int]:
    """For the first captions, how many other concepts explain the picture better."""
    scenes = benchmark_scenes(len(NAMES), names=NAMES, pair_share=0, seed=SEED)[:count]
    drawn = draw_captions(host, asked, [scene.caption for scene in scenes])
    return [
        matcher.match(picture, border_colour(picture)).best().rank(scene.objects[0].name)
        for picture, scene in zip(drawn, scenes, strict=True)
    ]


def share(host: Host, matcher: Matcher, sampler: str, scheduler: str) -> float:
    """How many of the captions' objects are among the best five of all concepts."""
    found = ranks(host, matcher, request(sampler, scheduler))
    return sum(rank < 5 for rank in found) / len(found)


def on_page() -> dict[str, dict[str, float]]:
    """The table as the page has it."""
    found = TABLE.search(PAGE.read_text(encoding="utf-8"))
    if found is None or not found["table"]:
        return {}
    schedulers = re.findall(r"`(\w+)`", found["table"].splitlines()[0])
    return {
        row["sampler"]: dict(zip(schedulers, map(float, row["cells"].split("|")[:-1]), strict=True))
        for row in ROW.finditer(found["table"])
    }


def weak(shares: Shares) -> str:
    """The pairs with two pictures in three or more that are not recognised, as a list."""
    rows = [
        f"- `{sampler}` with " + ", ".join(f"`{name}`" for name in found)
        for sampler, row in shares.items()
        if (found := [name for name, share in row.items() if share < 0.5])
    ]
    return "\n".join(rows) or "None."


def write(shares: Shares, schedulers: Sequence[str]) -> None:
    """Put the shares into the page and paint the picture."""
    heads = [" ", *(f"`{name}`" for name in schedulers)]
    rows = [heads, ["---", *["---:"] * len(schedulers)]]
    rows += [[f"`{name}`", *(f"{cells[key]:.2f}" for key in schedulers)] for name, cells in shares.items()]
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    text = PAGE.read_text(encoding="utf-8")
    text = TABLE.sub(lambda _: f"<!-- pairs -->\n\n{table}", text)
    PAGE.write_text(f"{text.partition(WEAK)[0]}{WEAK}\n\n{weak(shares)}\n", encoding="utf-8")
    paint(shares, schedulers)


def paint(shares: Shares, schedulers: Sequence[str]) -> None:
    """A cell for each pair, from dark red for nothing to green for every picture."""
    from PIL import Image, ImageDraw

    size = LEFT + CELL * len(schedulers), TOP + CELL * len(shares)
    picture = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(picture)
    for column, name in enumerate(schedulers):
        label = Image.new("RGB", (TOP, CELL), "white")
        ImageDraw.Draw(label).text((4, 5), name, "black")
        picture.paste(label.rotate(90, expand=True), (LEFT + CELL * column, 0))
    for line, (sampler, cells) in enumerate(shares.items()):
        draw.text((4, TOP + CELL * line + 5), sampler, "black")
        for column, name in enumerate(schedulers):
            _cell(draw, (LEFT + CELL * column, TOP + CELL * line), cells[name])
    picture.save(PICTURE, optimize=True)


def _cell(draw: "ImageDraw", corner: tuple[int, int], value: float) -> None:
    (left, top), colour = corner, (round(200 - 160 * value), round(40 + 130 * value), 60)
    draw.rectangle((left, top, left + CELL - 2, top + CELL - 2), fill=colour)


def main(arguments: Sequence[str]) -> None:
    """Parse, draw, write."""
    parser = argparse.ArgumentParser(
        description="Which pairs of sampler and scheduler draw what is asked for."
    )
    parser.add_argument("--samplers", help="rows to draw anew, with commas between; all unless given")
    asked = parser.parse_args(arguments)
    with Host(config=Config()) as host:
        samplers, schedulers = names(host)
        matcher = Matcher(shipped())
        for sampler in asked.samplers.split(",") if asked.samplers else samplers:
            row = {scheduler: share(host, matcher, sampler, scheduler) for scheduler in schedulers}
            known = {name: cells for name, cells in on_page().items() if list(cells) == schedulers}
            known[sampler] = row
            write({name: known[name] for name in samplers if name in known}, schedulers)
            print(sampler, *(f"{cell:.2f}" for cell in row.values()), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
