"""What only a card can show. Where there is one: `pytest -m hardware plugins/latentry-emoji -rs`."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from latentry_emoji.training.artwork import shipped  # noqa: E402
from latentry_emoji.training.denoiser import DenoiserSettings  # noqa: E402
from latentry_emoji.training.diffusion import DiffusionSettings, DiffusionTraining  # noqa: E402
from latentry_emoji.training.latents import Encoding, encode_samples  # noqa: E402
from latentry_emoji.training.learners import Cores  # noqa: E402
from latentry_emoji.training.loop import Schedule  # noqa: E402
from latentry_emoji.training.text import TextSettings  # noqa: E402
from latentry_emoji.training.vae import VaeSettings, new_vae  # noqa: E402

pytestmark = [pytest.mark.hardware, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA card")]

VAE = VaeSettings(side=16, channels=(8, 8, 8))
SETTINGS = DiffusionSettings(DenoiserSettings(16, (8, 16), (1, 2), 4, TextSettings((16, 24), 2, 2)), batch=4)


def training():
    torch.manual_seed(1)
    samples = encode_samples(new_vae(VAE), Encoding(shipped(), 16), 0, 20)
    return DiffusionTraining(SETTINGS, Schedule(6, 1e-3, warm_up=2), samples, device="cuda")


def test_a_graph_learns_what_kernels_one_by_one_do():
    replayed, started = training(), training()
    started.learn = Cores(started._learn, 1, 1)
    for index in range(4):
        assert replayed.step(index) == pytest.approx(started.step(index), rel=1e-3)
    for one, other in zip(replayed.weights, started.weights, strict=True):
        assert torch.allclose(one, other, rtol=1e-2, atol=1e-4)


def test_a_card_encodes_what_the_processor_does():
    vae = new_vae(VAE)
    here = encode_samples(vae, Encoding(shipped(), 16), 0, 20)
    there = encode_samples(vae.to("cuda"), Encoding(shipped(), 16, device="cuda"), 0, 20)
    assert here.captions == there.captions
    assert torch.equal(here.mask, there.mask)
    assert torch.allclose(here.clean.float(), there.clean.float(), atol=0.05)
