"""A killed training goes on to the same weights, and what it makes loads in diffusers."""

import json
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from latentry_emoji.evaluation.pipelines import Drawing, draw_captions, load_pipeline  # noqa: E402
from latentry_emoji.training.artwork import shipped  # noqa: E402
from latentry_emoji.training.assembly import assemble  # noqa: E402
from latentry_emoji.training.card import main as card_command  # noqa: E402
from latentry_emoji.training.denoiser import DenoiserSettings  # noqa: E402
from latentry_emoji.training.diffusion import DiffusionSettings, DiffusionTraining, loss_weight  # noqa: E402
from latentry_emoji.training.export import export  # noqa: E402
from latentry_emoji.training.export import main as export_command  # noqa: E402
from latentry_emoji.training.latents import Encoding, encode_samples  # noqa: E402
from latentry_emoji.training.loop import Run, Schedule, read_log, resume, train  # noqa: E402
from latentry_emoji.training.masks import random_mask  # noqa: E402
from latentry_emoji.training.merges import learn_merges  # noqa: E402
from latentry_emoji.training.restore import restore  # noqa: E402
from latentry_emoji.training.sampling import Mixture, training_scene  # noqa: E402
from latentry_emoji.training.text import TextSettings, new_text_encoders, new_tokenizer  # noqa: E402
from latentry_emoji.training.vae import VaeSettings, VaeTraining, new_vae  # noqa: E402

PLAIN = Mixture((("plain", 1.0),), 0.5)
SMALL_VAE = VaeSettings(side=16, channels=(8, 8, 8), batch=2, mixture=PLAIN, scored_mixture=PLAIN)
SMALL_DENOISER = DenoiserSettings(16, (8, 16), (1, 2), 4, TextSettings((16, 24), 2, 2))
SMALL = DiffusionSettings(SMALL_DENOISER, batch=4, parts=2)
SCHEDULE = Schedule(6, 1e-3, warm_up=2)


class Killed(Exception):
    """Stands for the end of a process between two steps."""


def vae_training():
    return VaeTraining(SMALL_VAE, SCHEDULE, shipped())


def diffusion_training(cores=1):
    torch.manual_seed(1)
    samples = encode_samples(new_vae(SMALL_VAE), Encoding(shipped(), 16, mixture=PLAIN), 0, 20)
    return DiffusionTraining(SMALL, SCHEDULE, samples, cores=cores)


@pytest.mark.parametrize("new", [vae_training, diffusion_training])
def test_a_killed_run_ends_with_the_weights_of_an_uninterrupted_one(new, tmp_path):
    whole = new()
    train(whole, Run(tmp_path / "whole", 6, log_steps=2, score_steps=100))
    killed = new()
    killed.step = _killed_at(4, killed.step)
    run = Run(tmp_path / "killed", 6, save_seconds=0, log_steps=2, score_steps=100)
    with pytest.raises(Killed):
        train(killed, run)
    resumed = new()
    train(resumed, run)
    _assert_equal(whole.state(), resumed.state())
    assert [entry["step"] for entry in read_log(run.log)] == [2, 4, 6]


def test_two_cores_learn_what_one_does(tmp_path):
    one, two = diffusion_training(), diffusion_training(cores=2)
    for index in range(3):
        assert one.step(index) == two.step(index)
    _assert_equal(one.state(), two.state())


def test_parts_of_a_batch_add_up_to_its_gradient():
    whole, parts = (diffusion_training() for _ in range(2))
    whole.settings = replace(SMALL, parts=1)
    assert whole.step(0) == pytest.approx(parts.step(0), rel=1e-5)
    for one, other in zip(whole.weights, parts.weights, strict=True):
        if one.grad is not None:
            assert torch.allclose(one.grad, other.grad, rtol=1e-3, atol=1e-6)


def test_a_loss_counts_high_noise_as_it_counts_low_noise():
    signal_to_noise = torch.tensor([1e-3, 0.5, 1.0, 4.0, 100.0])
    weights = loss_weight(signal_to_noise / (1 + signal_to_noise), gamma=5.0, steepest=20.0)
    assert torch.allclose(weights, torch.tensor([20.0, 3.0, 2.0, 1.25, 0.05]), rtol=1e-4)


def test_the_learning_rate_warms_up_stays_and_falls_to_zero():
    schedule = Schedule(100, 1.0, warm_up=10, fall=0.2)
    assert schedule.rate(0) == pytest.approx(0.1)
    assert schedule.rate(50) == 1.0
    assert schedule.rate(90) == pytest.approx(0.5)
    assert schedule.rate(99) < 0.06


def test_tokenizers_are_the_same_on_every_run():
    assert new_tokenizer(SMALL_DENOISER.text).get_vocab() == new_tokenizer(SMALL_DENOISER.text).get_vocab()
    merges = learn_merges(["banana", "bandana", "band"], 100)
    assert merges[0] == ("a", "n")
    assert ("".join(merges[-1])).endswith("</w>")


def test_every_word_of_a_caption_is_one_token():
    tokenizer = new_tokenizer(TextSettings())
    caption = "a hot pepper left of a musical keyboard on a purple to cyan gradient background"
    assert len(tokenizer(caption).input_ids) == len(caption.split()) + 2


def test_text_is_seen_as_the_pipeline_sees_it():
    text = new_text_encoders(SMALL_DENOISER.text)
    denoiser = diffusion_training().denoiser
    pipeline = assemble(new_vae(SMALL_VAE), denoiser)
    prompt = "a banana on a red background"
    expected, _, pooled, _ = pipeline.encode_prompt(prompt, do_classifier_free_guidance=False)
    embeddings, text_embeds = denoiser.text(text.tokenize([prompt]))
    assert torch.allclose(embeddings, expected, atol=1e-5)
    assert torch.allclose(text_embeds, pooled, atol=1e-5)


def test_an_export_loads_in_diffusers_and_draws(tmp_path):
    export(assemble(new_vae(SMALL_VAE), diffusion_training().denoiser), tmp_path / "model")
    logs = {"vae": [{"step": 1, "seconds": 1, "loss": 0.5, "psnr": 20.0}], "diffusion": []}
    (tmp_path / "model" / "training.json").write_text(json.dumps(logs))
    (tmp_path / "scores.json").write_text(json.dumps({"drawing": {"recall_1": 0.25}}))
    scores = str(tmp_path / "scores.json")
    card_command(["--model", str(tmp_path / "model"), "--scores", scores, "--how", "On a toaster."])
    pipeline = load_pipeline(tmp_path / "model")
    (picture,) = draw_captions(pipeline, ["a banana on a red background"], Drawing(steps=2))
    assert picture.size == (16, 16)
    assert {file.suffix for file in (tmp_path / "model" / "unet").iterdir()} == {".json", ".safetensors"}
    assert json.loads((tmp_path / "model" / "model_index.json").read_text())["force_zeros_for_empty_prompt"]
    card = (tmp_path / "model" / "README.md").read_text()
    for part in (
        "SIL Open Font License 1.1",
        "| drawing | recall_1 | 0.25 |",
        "| 1 | 1 | 0.5 | 20 |",
        "toaster",
    ):
        assert part in card


def test_training_goes_on_from_an_export(tmp_path):
    vae, diffusion = vae_training(), diffusion_training()
    train(vae, Run(tmp_path / "run" / "vae", 6, log_steps=2))
    train(diffusion, Run(tmp_path / "run" / "diffusion", 4, log_steps=2))
    model = tmp_path / "model"
    export(assemble(vae.vae, diffusion.denoiser), model)
    logs = {name: read_log(tmp_path / "run" / name / "log.jsonl") for name in ("vae", "diffusion")}
    (model / "training.json").write_text(json.dumps(logs))
    restore(model, tmp_path / "other")
    resumed, run = diffusion_training(), Run(tmp_path / "other" / "diffusion", 6, log_steps=2)
    assert resume(resumed, run) == (4, pytest.approx(logs["diffusion"][-1]["seconds"], abs=1))
    for mine, theirs in zip(resumed.weights, diffusion.weights, strict=True):
        assert torch.equal(mine, theirs.half().float())
    train(resumed, run)
    assert [entry["step"] for entry in read_log(run.log)] == [2, 4, 6]
    assert resume(vae_training(), Run(tmp_path / "other" / "vae", 6))[0] == 6
    with pytest.raises(FileExistsError, match="begun already"):
        restore(model, tmp_path / "other")


def test_an_autoencoder_alone_is_exported_and_restored(tmp_path, monkeypatch):
    monkeypatch.setattr("latentry_emoji.training.export.VaeSettings", lambda: SMALL_VAE)
    vae = vae_training()
    train(vae, Run(tmp_path / "run" / "vae", 6, log_steps=2))
    export_command(["--folder", str(tmp_path / "run"), "--to", str(tmp_path / "model")])
    restore(tmp_path / "model", tmp_path / "other")
    resumed = vae_training()
    assert resume(resumed, Run(tmp_path / "other" / "vae", 6))[0] == 6
    for mine, theirs in zip(resumed.average.state(), vae.average.state(), strict=True):
        assert torch.equal(mine, theirs.half().float())
    assert not (tmp_path / "other" / "diffusion").exists()


def test_masks_are_full_around_objects_or_boxes():
    generator = np.random.default_rng(0)
    scenes = [training_scene(generator, tuple(shipped()), PLAIN) for _ in range(300)]
    shares = np.array([random_mask(generator, scene, 64).mean() for scene in scenes])
    assert 0.4 < (shares == 1).mean() < 0.6
    assert (shares > 0.01).all()


def _killed_at(last, step):
    def step_or_die(index):
        if index == last:
            raise Killed
        return step(index)

    return step_or_die


def _assert_equal(one, other):
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        one, other = list(one.values()), list(other.values())
    if isinstance(one, list | tuple):
        for left, right in zip(one, other, strict=True):
            _assert_equal(left, right)
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    else:
        assert one == other
