"""The evaluation gives full marks to drawn scenes, chance to noise, and tells one fault from another."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageFilter

from latentry_emoji import FOLDER
from latentry_emoji.evaluation import benchmark_scenes, inpainting_tasks, score, score_inpainting
from latentry_emoji.evaluation.__main__ import main
from latentry_emoji.evaluation.reconstruction import hue_labels, psnr, reconstruction_scores, ssim
from latentry_emoji.evaluation.scoring import nearest_colour
from latentry_emoji.evaluation.sheets import main as draw_sheets
from latentry_emoji.evaluation.sheets import tiled
from latentry_emoji.training.artwork import shipped
from latentry_emoji.training.concepts import names
from latentry_emoji.training.drawing import draw
from latentry_emoji.training.sampling import held_out
from latentry_emoji.training.scenes import COLOURS, OPPOSITE, Background, Placed, Scene
from latentry_sdk import UserError

SCENES = benchmark_scenes(18, seed=5)
PICTURES = [draw(scene, shipped(), 64) for scene in SCENES]
FEW = names()[::9]


def noise(count):
    generator = np.random.default_rng(0)
    return [Image.fromarray(generator.integers(0, 255, (64, 64, 3)).astype("uint8")) for _ in range(count)]


def test_drawn_scenes_get_full_marks():
    scores = score(PICTURES, SCENES)
    assert scores.as_dict() == {
        "pictures": 18,
        "recall_1": 1.0,
        "recall_5": 1.0,
        "alone": 1.0,
        "paired": 1.0,
        "background": 1.0,
        "placement": 1.0,
    }


def test_pictures_of_another_size_are_scored_alike():
    larger = [draw(scene, shipped(), 128) for scene in SCENES[:4]]
    assert score(larger, SCENES[:4]).recall_1 == 1.0


def test_noise_is_near_chance():
    scores = score(noise(18), SCENES)
    assert scores.recall_1 is not None
    assert scores.recall_1 <= 0.1
    assert scores.background is not None
    assert scores.background < 0.5


def test_the_wrong_colour_costs_the_background_alone():
    wrong = [replace(scene, background=_other_colour(scene.background)) for scene in SCENES[:8]]
    scores = score(PICTURES[:8], wrong)
    assert scores.recall_1 == 1.0
    assert scores.background == 0.0


def test_exchanged_objects_cost_the_placement():
    pairs = [scene for scene in SCENES if len(scene.objects) == 2]
    exchanged = [replace(scene, place=OPPOSITE[scene.place]) for scene in pairs]
    scores = score([draw(scene, shipped(), 64) for scene in pairs], exchanged)
    assert scores.placement == 0.0
    assert scores.paired == 0.0


def test_a_pale_blurred_object_is_still_recognised():
    pale = [_paled(picture) for picture in PICTURES[:8]]
    recall = score(pale, SCENES[:8]).recall_1
    assert recall is not None
    assert recall >= 0.75


def test_a_choice_among_fewer_names_needs_only_those():
    scene = Scene((Placed(FEW[0], 0.5, 0.5, 0.7),), Background("plain", ("cyan",)))
    assert score([draw(scene, shipped(), 64)], [scene], names=FEW).recall_1 == 1.0


def test_an_object_painted_into_its_mask_is_found_and_the_rest_is_kept():
    tasks = inpainting_tasks(6, photo_share=0.0, seed=2)
    painted = [_painted(task) for task in tasks]
    assert score_inpainting(painted, tasks) == {"recall_1": 1.0, "recall_5": 1.0, "kept_psnr": 99.0}
    assert score_inpainting([task.known for task in tasks], tasks)["recall_1"] <= 0.2


def test_objects_are_found_over_photos():
    pytest.importorskip("skimage")
    tasks = inpainting_tasks(6, photo_share=1.0, seed=2)
    assert score_inpainting([_painted(task) for task in tasks], tasks)["recall_1"] >= 0.8


def test_every_benchmark_scene_is_held_out_and_every_concept_is_asked_for():
    scenes = benchmark_scenes(300)
    assert all(any(map(held_out, scene.combinations)) for scene in scenes)
    assert {scene.objects[0].name for scene in scenes} == set(names())
    assert sum(len(scene.objects) == 2 for scene in scenes) == 100
    assert scenes == benchmark_scenes(300)


def test_named_colours_are_told_apart():
    for name, colour in COLOURS.items():
        assert nearest_colour(np.array(colour) / 255 + 0.02) == name


def test_an_equal_picture_has_the_best_reconstruction_scores():
    scores = reconstruction_scores(PICTURES[:2], PICTURES[:2])
    assert scores["psnr"] == 99.0
    assert scores["ssim"] == pytest.approx(1.0)


def test_psnr_and_ssim_fall_with_the_error():
    seen = np.asarray(PICTURES[0], np.float64)
    assert psnr(seen + 10, seen) == pytest.approx(28.13, abs=0.01)
    noisy = seen + np.random.default_rng(0).normal(0, 30, seen.shape)
    assert ssim(noisy, seen) < ssim(seen * 0.95, seen) < 1


def test_hues_are_named():
    pixels = np.array([(220, 40, 40), (50, 170, 75), (48, 104, 224), (245, 215, 60), (90, 90, 90)], float)
    assert hue_labels(pixels).tolist() == ["red", "green", "blue", "yellow", "neutral"]


def test_a_sheet_has_rows_of_eight():
    assert tiled(PICTURES[:9], scale=1).size == (8 * 66 - 2, 2 * 66 - 2)


def test_importing_the_evaluation_loads_no_heavy_library():
    heavy = "{'torch', 'numpy', 'PIL', 'diffusers'}"
    check = f"import sys, latentry_emoji.evaluation; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def _painted(task):
    left, top, right, bottom = task.box
    placed = Placed(task.name, (left + right) / 2, (top + bottom) / 2, min(right - left, bottom - top) - 0.06)
    size = round(placed.size * 64)
    small = shipped()[task.name].resize((size, size))
    picture = task.known.copy()
    picture.paste(small, (round(placed.x * 64 - size / 2), round(placed.y * 64 - size / 2)), small)
    return picture


def _paled(picture):
    small = picture.resize((24, 24)).resize((64, 64), Image.Resampling.BICUBIC)
    border = Image.new("RGB", picture.size, picture.getpixel((0, 0)))
    return Image.blend(small, border, 0.25)


def _other_colour(background):
    colours = list(COLOURS)
    return Background("plain", (colours[(colours.index(background.key) + 4) % len(colours)],))


def test_the_command_scores_what_a_host_draws_by_any_sampler(capsys):
    options = ("--names", "rose,bus", "--count", "2", "--pairs", "0", "--masks", "2", "--steps", "12")
    main([*options, "--sampler", "dpmpp_2m", "--scheduler", "karras", "--place", "unet=cpu"])
    scores = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert scores["drawing"]["pictures"] == 2
    assert scores["drawing"]["recall_5"] == 1
    assert scores["inpainting"]["kept_psnr"] == 99
    with pytest.raises(UserError, match="unknown sampler 'nobody'"):
        main([*options, "--sampler", "nobody"])
    with pytest.raises(SystemExit):
        main([*options, "--place", "unet"])


def test_the_command_scores_the_pipeline_of_diffusers_too(capsys):
    main(
        [
            "--names",
            "rose,bus",
            "--count",
            "2",
            "--pairs",
            "0",
            "--masks",
            "0",
            "--steps",
            "12",
            "--diffusers",
            str(FOLDER),
        ]
    )
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["drawing"]["recall_5"] == 1


@pytest.mark.slow
def test_a_contact_sheet_and_a_strip_are_drawn_by_the_host(tmp_path, capsys):
    draw_sheets([str(tmp_path / "sheets"), "--names", "rose,bus", "--pairs", "0"])
    assert len(capsys.readouterr().out.splitlines()) == 24
    with Image.open(tmp_path / "sheets" / "contact-sheet.png") as sheet:
        assert sheet.size == (1038, 258)
    with Image.open(tmp_path / "sheets" / "inpainting-strip.png") as strip:
        known, mask, made = (strip.crop((0, top, 1038, top + 128)) for top in (0, 130, 260))
    outside = np.asarray(mask.convert("L").filter(ImageFilter.MaxFilter(9))) == 0  # enlarging blurs the edge
    assert outside.any()
    assert np.array_equal(np.asarray(known)[outside], np.asarray(made)[outside])
