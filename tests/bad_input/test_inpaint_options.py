"""Options of image to image and inpainting that are bad (behaviours, section 9, items 1, 3 and 4)."""

from collections.abc import Mapping
from math import inf, nan
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

if TYPE_CHECKING:
    from tests.bad_input.conftest import Shell, Trial

NO_COUNT: tuple[Any, ...] = (nan, inf, -inf, 1e308, 2.5, True, "", "many", [1], {}, -1)
NO_NUMBER: tuple[Any, ...] = (nan, inf, -inf, True, "", "much", [1.0], 0, -1, 1.0001, 1e308)
NO_FLAG: tuple[Any, ...] = (nan, 2, "perhaps", [], None)
NO_CHOICE: tuple[Any, ...] = (nan, True, "", "Fill", "x" * 100_000, [], None)

OPTIONS: Mapping[tuple[str, str], tuple[Any, ...]] = {
    ("img2img", "strength"): NO_NUMBER,
    ("img2img", "resize_mode"): NO_CHOICE,
    ("inpaint", "strength"): NO_NUMBER,
    ("inpaint", "content"): NO_CHOICE,
    ("inpaint", "binarise"): NO_FLAG,
    ("inpaint", "invert"): NO_FLAG,
    ("inpaint", "mask_blur"): (*NO_COUNT, 65, 10_000),
    ("inpaint", "full_res"): NO_FLAG,
    ("inpaint", "differential"): NO_FLAG,
    ("inpaint", "padding"): (*NO_COUNT, 16_385, 10**6),
    ("inpaint", "left"): (*NO_COUNT, 16_385, 10**6),
    ("inpaint", "bottom"): (*NO_COUNT, 16_385, 10**6),
}

COMMANDS = (
    ("inpaint", "--mask-blur=10000", "64"),
    ("inpaint", "--mask-blur=-1", "0"),
    ("inpaint", "--strength=1.0001", "1"),
    ("inpaint", "--content=nonsense", "latent_noise"),
    ("inpaint", "--padding=-1", "0"),
    ("inpaint", "--padding=1000000", "16384"),
    ("inpaint", "--left=-1", "0"),
    ("inpaint", "--top=1000000", "16384"),
    ("inpaint", "--mask-channel=grey", "transparent"),
    ("img2img", "--strength=0", "0"),
    ("img2img", "--strength=nan", "strength"),
    ("img2img", "--resize-mode=stretch", "fixed"),
)


def cases(table: Mapping[tuple[str, str], tuple[Any, ...]]) -> list[Any]:
    return [
        pytest.param(*k, v, id=f"{k[0]}.{k[1]}-{str(v)[:12]}") for k, values in table.items() for v in values
    ]


def fields(task: str, size: tuple[int, int] = (64, 64), **options: object) -> dict[str, Any]:
    """A request for a black picture, white in the mask."""
    image = Image.new("RGB", size)
    given = {"inputs": {"image": image}} if task == "img2img" else {"image": image, "mask": white(size)}
    return {"task": task, "steps": 2, "guidance": 1, "options": {task: options}, **given}


def white(size: tuple[int, int]) -> Image.Image:
    return Image.new("L", size, 255)


@pytest.mark.parametrize(("task", "name", "value"), cases(OPTIONS))
def test_a_bad_option_is_refused(trial: "Trial", task: str, name: str, value: object) -> None:
    assert f"{task}: {name}" in trial.refused(before="read_images", **fields(task, **{name: value}))


@pytest.mark.parametrize(("task", "flag", "legal"), COMMANDS, ids=[flag for _, flag, _ in COMMANDS])
def test_the_command_line_refuses_it_in_one_line(shell: "Shell", task: str, flag: str, legal: str) -> None:
    given = ["--image=a.png", *(["--mask=b.png"] if task == "inpaint" else [])]
    assert legal in shell.refused(task, "x", "-o", "x.png", *given, flag)


@pytest.mark.parametrize("task", ["img2img", "inpaint"])
def test_a_strength_that_leaves_no_step_is_refused(trial: "Trial", task: str) -> None:
    assert "leaves no step" in trial.refused(before="read_images", **fields(task, strength=0.3))


@pytest.mark.parametrize("mode", ["fixed", "crop", "fill"])
@pytest.mark.parametrize("size", [(1, 1), (1, 20_000), (20_000, 1)], ids=str)
def test_every_resize_mode_takes_any_aspect(trial: "Trial", size: tuple[int, int], mode: str) -> None:
    result = trial.accepted(**fields("img2img", size, resize_mode=mode), width=64, height=64)
    assert result.artifacts[0].open().size == (64, 64)


@pytest.mark.parametrize("task", ["img2img", "inpaint"])
def test_one_side_of_a_very_long_picture_is_refused(trial: "Trial", task: str) -> None:
    assert "20000" in trial.refused(**fields(task, (1, 20_000)), width=64)


@pytest.mark.parametrize("task", ["img2img", "inpaint"])
def test_a_batch_of_large_pictures_is_refused(trial: "Trial", task: str) -> None:
    assert "megapixels" in trial.refused(**fields(task, (1600, 1600)), batch=64)


@pytest.mark.parametrize("task", ["img2img", "inpaint"])
def test_a_picture_that_one_side_blows_up_is_refused(trial: "Trial", task: str) -> None:
    assert "megapixels" in trial.refused(**fields(task), width=16_384)


@pytest.mark.parametrize("size", [(1, 1), (1, 20_000), (20_000, 1)], ids=str)
def test_the_largest_blur_takes_any_aspect(trial: "Trial", size: tuple[int, int]) -> None:
    asked = fields("inpaint", size, mask_blur=64, content="fill", strength=0.5)
    assert trial.accepted(**asked, width=64, height=64).artifacts[0].open().size == size


@pytest.mark.parametrize("size", [(1, 1), (64, 64), (1, 10_000), (10_000, 1)], ids=str)
@pytest.mark.parametrize("mask", ["empty", "full", "one pixel"])
def test_padding_larger_than_the_picture_is_cut_to_it(
    trial: "Trial", size: tuple[int, int], mask: str
) -> None:
    asked = fields("inpaint", size, full_res=True, padding=16_384)
    where = asked["mask"] = Image.new("L", size, 255 if mask == "full" else 0)
    if mask == "one pixel":
        where.putpixel((0, 0), 255)
    result = trial.accepted(**asked, width=64, height=64)
    assert result.applied["frame"] == [0, 0, *size]
    assert result.artifacts[0].open().size == size


def test_a_picture_with_nothing_to_paint_is_refused(trial: "Trial") -> None:
    asked = {**fields("inpaint"), "mask": None}
    assert "needs the input 'mask'" in trial.refused(before="read_images", **asked)
    inverted = {**fields("inpaint", left=8, invert=True), "mask": None}
    assert "invert" in trial.refused(before="read_images", **inverted)


@pytest.mark.parametrize("full_res", [False, True], ids=["whole", "cropped"])
def test_new_canvas_beyond_the_limit_is_refused(trial: "Trial", full_res: bool) -> None:
    sides = dict.fromkeys(("left", "top", "right", "bottom"), 16_384)
    assert "megapixels" in trial.refused(**fields("inpaint", full_res=full_res, **sides))
    thin = fields("inpaint", (1, 20_000), full_res=full_res, left=4000)
    assert "megapixels" in trial.refused(**thin)
    batch = fields("inpaint", full_res=full_res, left=1200, top=1200)
    assert "megapixels" in trial.refused(**batch, batch=64)


def test_a_pixel_becomes_a_picture(trial: "Trial") -> None:
    asked = {**fields("inpaint", (1, 1), left=31, bottom=63), "mask": None}
    assert trial.accepted(**asked).artifacts[0].open().size == (32, 64)
