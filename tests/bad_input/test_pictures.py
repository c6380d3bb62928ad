"""Pictures and masks that nobody vouches for (behaviours, section 9, items 1 and 4)."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from latentry_sdk.testing.hostile import MASKS, PICTURES, UNUSUAL, Maker, saved, scene

if TYPE_CHECKING:
    from tests.bad_input.conftest import Trial

pytestmark = pytest.mark.usefixtures("next_job_succeeds")


def written(folder: Path, make: Maker) -> Path:
    path = folder / "input.png"
    path.write_bytes(make())
    return path


@pytest.mark.parametrize("name", PICTURES)
def test_a_bad_picture_is_refused(trial: "Trial", tmp_path: Path, name: str) -> None:
    make, word = PICTURES[name]
    message = trial.refused(task="inpaint", image=written(tmp_path, make))
    assert "image" in message
    assert word in message


@pytest.mark.parametrize("name", PICTURES)
def test_a_bad_mask_is_refused(trial: "Trial", tmp_path: Path, name: str) -> None:
    make, _ = PICTURES[name]
    assert "mask" in trial.refused(task="inpaint", mask=make())


@pytest.mark.parametrize("name", UNUSUAL)
def test_an_unusual_picture_is_inpainted(trial: "Trial", tmp_path: Path, name: str) -> None:
    result = trial.accepted(task="inpaint", image=written(tmp_path, UNUSUAL[name]))
    assert result.artifacts[0].open().size == (64, 64)


@pytest.mark.parametrize("name", MASKS)
def test_an_unusual_mask_is_taken(trial: "Trial", name: str) -> None:
    result = trial.accepted(task="inpaint", mask=MASKS[name]())
    assert result.artifacts[0].open().size == (64, 64)


def test_an_empty_mask_changes_nothing_and_says_so(trial: "Trial") -> None:
    result = trial.accepted(task="inpaint", mask=MASKS["empty"]())
    assert any("empty" in warning for warning in result.warnings)
    with Image.open(trial.inputs["image"]) as image:
        assert result.artifacts[0].open().tobytes() == image.convert("RGB").tobytes()


def test_a_picture_turned_by_its_exif_comes_out_upright(trial: "Trial") -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = saved(scene(size=(64, 72)), "JPEG", exif=exif)
    result = trial.accepted(task="inpaint", image=image, mask=saved(Image.new("L", (72, 64), 255), "PNG"))
    assert result.artifacts[0].open().size == (72, 64)


@pytest.mark.parametrize("size", [(1, 1), (1, 64), (65, 63)])
def test_a_picture_of_an_odd_size_keeps_it(trial: "Trial", size: tuple[int, int]) -> None:
    mask = saved(Image.new("L", size, 255), "PNG")
    result = trial.accepted(task="inpaint", image=saved(scene(size=size), "PNG"), mask=mask)
    assert result.artifacts[0].open().size == size


def test_a_picture_of_another_size_than_the_mask_is_refused(trial: "Trial") -> None:
    for name in ("image", "mask"):
        assert "64 × 72" in trial.refused(task="inpaint", **{name: saved(scene(size=(64, 72)), "PNG")})


def test_a_long_thin_picture_is_planned_in_bounds(trial: "Trial") -> None:
    size = (1, 20_000)
    image, mask = (saved(Image.new(mode, size, "white"), "PNG") for mode in ("RGB", "L"))
    try:
        result = trial.accepted(task="inpaint", image=image, mask=mask, guidance=1)
    except Exception as exc:
        assert "20000" in str(exc)  # noqa: PT017  # either answer will do
    else:
        assert result.artifacts[0].open().size == size


@pytest.mark.parametrize(
    "fields", [{"batch": 64}, {"batch": 64, "width": 64}], ids=["as it is", "one side given"]
)
def test_the_budget_of_pixels_holds_for_pictures_too(trial: "Trial", fields: Mapping[str, Any]) -> None:
    size = (1600, 1600) if "width" not in fields else (64, 16_000)
    image, mask = (saved(Image.new(mode, size, "white"), "PNG") for mode in ("RGB", "L"))
    assert "megapixels" in trial.refused(task="inpaint", image=image, mask=mask, **fields)


def test_a_picture_of_another_size_than_asked_is_not_blown_up_beyond_bounds(trial: "Trial") -> None:
    size = (1, 4000)
    image, mask = (saved(Image.new(mode, size, "white"), "PNG") for mode in ("RGB", "L"))
    assert "4000" in trial.refused(task="inpaint", image=image, mask=mask, width=64)


@pytest.mark.parametrize("name", ["image", "mask"])
@pytest.mark.parametrize("given", ["missing.png", "", ".", "a\0b.png", "x" * 4000, "http://localhost/a.png"])
def test_a_path_that_is_no_file_is_refused(trial: "Trial", name: str, given: str) -> None:
    assert name in trial.refused(task="inpaint", **{name: given})


@pytest.mark.parametrize(
    "given",
    [7, 1.5, True, ["a.png"], {"path": "a.png"}, b"", object()],
    ids=lambda value: type(value).__name__,
)
def test_an_input_of_a_wrong_kind_is_refused(trial: "Trial", given: object) -> None:
    assert "image" in trial.refused(task="inpaint", image=given)


def test_an_endless_file_is_refused(trial: "Trial") -> None:
    if not Path("/dev/zero").exists():
        pytest.skip("needs /dev/zero")
    assert "image" in trial.refused(task="inpaint", image="/dev/zero")


@pytest.mark.timeout(60)
def test_a_pipe_that_nobody_writes_to_is_refused(trial: "Trial", tmp_path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("needs named pipes")
    os.mkfifo(tmp_path / "pipe.png")
    assert "image" in trial.refused(task="inpaint", image=tmp_path / "pipe.png")


def test_inputs_of_another_task_are_refused_by_name(trial: "Trial", tmp_path: Path) -> None:
    assert "unknown input" in trial.refused(inputs={"image": "a.png"})
    message = trial.refused(task="inpaint", image=None)
    assert "needs the input 'image'" in message
