"""The embedded model draws what its card says, on a sample of what the card's scores are of."""

import json
import re

import pytest

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

from latentry_emoji import FOLDER  # noqa: E402
from latentry_emoji.evaluation import benchmark_scenes, inpainting_tasks, score, score_inpainting  # noqa: E402
from latentry_emoji.evaluation.pipelines import draw_captions, load_pipeline, paint_tasks  # noqa: E402
from latentry_emoji.evaluation.reconstruction import reconstruction_scores  # noqa: E402
from latentry_emoji.training.artwork import shipped  # noqa: E402
from latentry_emoji.training.card import scores_table  # noqa: E402
from latentry_emoji.training.loop import Schedule  # noqa: E402
from latentry_emoji.training.vae import VaeSettings, VaeTraining, reconstruct  # noqa: E402

MEASURED = re.compile(r"^\| (?P<what>drawing|inpainting) \| (?P<measure>\w+) \| (?P<value>[\d.]+) \|$", re.M)
CARD = (FOLDER / "README.md").read_text()


@pytest.fixture(scope="module")
def pipeline():
    """The reference: diffusers' own pipeline."""
    return load_pipeline(FOLDER)


@pytest.mark.slow
def test_it_draws_held_out_captions(pipeline):
    scenes = benchmark_scenes(24, seed=2)
    found = score(draw_captions(pipeline, [scene.caption for scene in scenes]), scenes)
    assert found.recall_1 >= 0.9
    assert found.background >= 0.95
    assert found.placement >= 0.8


@pytest.mark.slow
def test_it_paints_into_masks(pipeline):
    tasks = inpainting_tasks(12, seed=2)
    assert score_inpainting(paint_tasks(pipeline, tasks), tasks)["recall_1"] >= 0.75


@pytest.mark.slow
def test_the_autoencoder_gives_back_scenes_it_has_not_seen():
    vae = diffusers.AutoencoderKL.from_pretrained(FOLDER / "vae").float()
    scenes = VaeTraining(VaeSettings(), Schedule(1, 1e-3), shipped()).held_out
    with torch.no_grad():
        made = [
            picture for start in range(0, 96, 16) for picture in reconstruct(vae, scenes[start : start + 16])
        ]
    scores = reconstruction_scores(made, scenes)
    assert scores["psnr"] > 26
    assert scores["ssim"] > 0.85
    assert min(value for name, value in scores.items() if name.startswith("psnr_")) > 23


def test_the_card_has_the_scores_and_the_logs():
    scores = {(row["what"], row["measure"]): float(row["value"]) for row in MEASURED.finditer(CARD)}
    assert scores["drawing", "pictures"] == 300
    assert scores["drawing", "recall_1"] >= 0.9
    assert scores["drawing", "background"] >= 0.95
    assert scores["drawing", "placement"] >= 0.8
    assert scores["inpainting", "recall_1"] >= 0.75
    logs = json.loads((FOLDER / "training.json").read_text())
    assert scores_table(logs["diffusion"]) in CARD
    assert scores_table(logs["vae"]) in CARD
