"""The embedded model paints what is asked for inside the mask, by every way, and leaves the rest."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

import latentry_emoji
from latentry import Host, Request
from latentry_emoji.evaluation import InpaintingTask, inpainting_tasks, score_inpainting

NAMES = (
    "rose",
    "bus",
    "pig face",
    "hamburger",
    "avocado",
    "lion face",
    "dog face",
    "doughnut",
    "fox face",
    "penguin",
    "red apple",
    "peach",
)
"""What the model draws well alone; it is looked for among all 177 concepts."""

WAYS: Mapping[str, Mapping[str, Any]] = {
    "from noise": {},
    "from the picture": {"strength": 0.9},
    "from the surroundings": {"strength": 0.9, "content": "fill"},
    "from more noise": {"strength": 0.9, "content": "latent_noise"},
    "from nothing": {"strength": 0.9, "content": "latent_nothing"},
    "with a soft edge": {"mask_blur": 1},
    "with graded change": {"differential": True},
    "inverted": {"invert": True},
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def tasks() -> list[InpaintingTask]:
    return inpainting_tasks(len(NAMES), names=NAMES, photo_share=0, seed=6)


def painted(
    host: Host, task: InpaintingTask, image: Image.Image, mask: Image.Image | None, **options: Any
) -> Any:
    request = Request(
        task="inpaint",
        model=str(latentry_emoji.FOLDER),
        prompt=task.caption,
        steps=12,
        guidance=4,
        seed=1,
        inputs={"image": image, **({} if mask is None else {"mask": mask})},
        options={"inpaint": options},
    )
    return host.run(request).artifacts[0].open()


def assert_shows_what_is_asked(pictures: Sequence[Image.Image], tasks: Sequence[InpaintingTask]) -> None:
    scores = score_inpainting(pictures, tasks)
    assert scores["recall_1"] >= 3 / 4, scores
    assert scores["recall_5"] >= 0.9, scores


@pytest.mark.parametrize("way", WAYS)
def test_the_object_is_painted_in_the_mask(host: Host, tasks: list[InpaintingTask], way: str) -> None:
    options, pictures = WAYS[way], []
    for task in tasks:
        mask = task.mask.point(lambda grey: 255 - grey) if way == "inverted" else task.mask
        made = painted(host, task, task.known, mask, **options)
        reach = int(2.5 * options.get("mask_blur", 0) + 0.5)
        outside = np.asarray(task.mask.filter(ImageFilter.MaxFilter(2 * reach + 1))) == 0
        assert np.array_equal(np.asarray(made)[outside], np.asarray(task.known)[outside])
        pictures.append(made)
    assert_shows_what_is_asked(pictures, tasks)


def test_the_object_is_painted_in_a_part_of_a_large_picture(host: Host, tasks: list[InpaintingTask]) -> None:
    """Worked at 64 × 64 pixels about the mask, where the model is at home."""
    left, top, pictures = 90, 50, []
    for task in tasks:
        image, mask = Image.effect_noise((240, 160), 60).convert("RGB"), Image.new("L", (240, 160))
        image.paste(task.known, (left, top))
        mask.paste(task.mask, (left, top))
        made = painted(host, task, image, mask, full_res=True, padding=4)
        outside = np.asarray(mask) == 0
        assert np.array_equal(np.asarray(made)[outside], np.asarray(image)[outside])
        pictures.append(made.crop((left, top, left + 64, top + 64)))
    assert_shows_what_is_asked(pictures, tasks)


def test_the_object_is_painted_on_new_canvas(host: Host, tasks: list[InpaintingTask]) -> None:
    """Of each picture the widest strip beside the mask is left."""
    pictures = []
    for task in tasks:
        side, box = widest_strip(task)
        strip = task.known.crop(box)
        new = 64 - min(strip.size)
        made = painted(host, task, strip, None, **{side: new})
        assert made.size == (64, 64)
        assert made.crop(box).tobytes() == strip.tobytes()
        pictures.append(made)
    assert_shows_what_is_asked(pictures, tasks)


def widest_strip(task: InpaintingTask) -> tuple[str, tuple[int, int, int, int]]:
    """The widest strip beside the mask, and the side on which canvas is missing to make the picture whole."""
    left, top, right, bottom = task.mask.getbbox() or (0, 0, 64, 64)
    strips = {
        "right": (0, 0, left, 64),
        "bottom": (0, 0, 64, top),
        "left": (right, 0, 64, 64),
        "top": (0, bottom, 64, 64),
    }
    return max(strips.items(), key=lambda strip: (strip[1][2] - strip[1][0]) * (strip[1][3] - strip[1][1]))
