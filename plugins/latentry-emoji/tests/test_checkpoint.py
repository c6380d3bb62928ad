"""What is trained so far has the scores that its page says."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

from latentry_emoji.evaluation.reconstruction import reconstruction_scores  # noqa: E402
from latentry_emoji.training.artwork import shipped  # noqa: E402
from latentry_emoji.training.loop import Schedule  # noqa: E402
from latentry_emoji.training.vae import VaeSettings, VaeTraining, reconstruct  # noqa: E402

AUTOENCODER = Path(__file__).parents[1] / "checkpoint" / "model" / "vae"


@pytest.mark.slow
def test_the_autoencoder_gives_back_scenes_it_has_not_seen():
    vae = diffusers.AutoencoderKL.from_pretrained(AUTOENCODER).float()
    scenes = VaeTraining(VaeSettings(), Schedule(1, 1e-3), shipped()).held_out
    with torch.no_grad():
        made = [
            picture for start in range(0, 96, 16) for picture in reconstruct(vae, scenes[start : start + 16])
        ]
    scores = reconstruction_scores(made, scenes)
    assert scores["psnr"] > 26
    assert scores["ssim"] > 0.85
    assert min(value for name, value in scores.items() if name.startswith("psnr_")) > 23
