"""Factors: exact where a decoder is a sum, kept, and fitted again where what is kept is no good."""

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image

from latentry_preview.drawing import colours, drawn
from latentry_preview.factors import factors_of, terms, trial
from latentry_sdk import IMAGES, JOB, LATENTS, State


@dataclass
class LinearDecoder:
    """The stage `decode` of a model whose colours are a sum of its channels; `factor` pixels a latent."""

    weights: torch.Tensor
    factor: int = 4
    calls: list[tuple[int, ...]] = field(default_factory=list)
    name: str = "linear.decode"

    def run(self, state: State) -> State:
        latents = state[LATENTS]
        self.calls.append(tuple(latents.shape))
        bright = (latents.movedim(1, -1) @ self.weights[:-1] + self.weights[-1]).clamp(0, 1)
        large = (bright * 255).round().byte().repeat_interleave(self.factor, 1)
        pixels = large.repeat_interleave(self.factor, 2).numpy()
        return state.put(IMAGES, [Image.fromarray(each) for each in pixels])


def weights(channels: int) -> torch.Tensor:
    """Factors so small that no colour is cut at black or white."""
    spread = torch.randn(channels, 3, generator=torch.Generator().manual_seed(1)) * 0.1 / channels**0.5
    return torch.cat([spread, torch.full((1, 3), 0.5)])


def job_on(decoder: LinearDecoder, folder: Path, *, key: Any = "model") -> State:
    """A state just before sampling, as far as factors ask for it."""
    plan = SimpleNamespace(
        family=SimpleNamespace(roles={"decode": decoder.name}),
        stages=(decoder,),
        config=SimpleNamespace(cache_dir=folder),
        model_key=lambda: key,
    )
    latents = torch.zeros(1, len(decoder.weights) - 1, 6, 5)
    return State().put(JOB, SimpleNamespace(plan=plan)).put(LATENTS, latents)  # type: ignore[arg-type]


@pytest.mark.parametrize("channels", [3, 4, 16, 32])
def test_a_decoder_that_is_a_sum_is_found_up_to_its_rounding(channels: int, tmp_path: Path) -> None:
    decoder = LinearDecoder(weights(channels))
    found = torch.tensor(factors_of(job_on(decoder, tmp_path)))
    latents = torch.randn(2, channels, 9, 7, generator=torch.Generator().manual_seed(2))
    exact = latents.movedim(1, -1) @ decoder.weights[:-1] + decoder.weights[-1]
    assert (colours(latents, found) / 255 - exact).abs().max() < 0.02
    assert decoder.calls == [tuple(trial(channels).shape)]


@pytest.mark.parametrize("channels", [4, 16, 32])
def test_the_channels_of_the_trial_are_of_unit_variance_and_apart(channels: int) -> None:
    rows = trial(channels).flatten(2)[0].double()
    torch.testing.assert_close(rows.mean(1), torch.zeros(channels).double(), atol=1e-5, rtol=0)
    torch.testing.assert_close(rows @ rows.T / rows.shape[1], torch.eye(channels).double(), atol=1e-4, rtol=0)


def test_terms_are_the_latent_the_mean_about_it_and_one() -> None:
    latents = torch.arange(9.0).view(1, 1, 3, 3)
    found = terms(latents)
    assert found[0, 1, 1].tolist() == [4, 4, 1]
    assert found[0, 0, 0].tolist() == [0, 2, 1]  # of itself and the three neighbours that there are
    assert found[0, 2, 1].tolist() == [7, 5.5, 1]


def test_factors_are_fitted_once_for_a_model_and_kept(tmp_path: Path) -> None:
    decoder = LinearDecoder(weights(4))
    first, second = (factors_of(job_on(decoder, tmp_path)) for _ in range(2))
    assert first == second
    assert len(decoder.calls) == 1
    factors_of(job_on(decoder, tmp_path, key="another"))
    assert len(decoder.calls) == 2
    assert len(list((tmp_path / "preview").iterdir())) == 2


@pytest.mark.parametrize(
    "damage", [b"", b"{}", b"[[1, 2, 3]]", b"[1]", b"\xff", b"null", b'"x"', b"[[NaN, 0, 0]]", b"[" * 100_000]
)
def test_a_damaged_file_is_made_again(damage: bytes, tmp_path: Path) -> None:
    decoder = LinearDecoder(weights(4))
    good = factors_of(job_on(decoder, tmp_path))
    (file,) = (tmp_path / "preview").iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage)
    assert factors_of(job_on(decoder, tmp_path)) == good
    assert file.read_bytes() == whole


def test_a_folder_that_cannot_be_written_to_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    decoder = LinearDecoder(weights(4))
    state = job_on(decoder, tmp_path / "file")
    assert factors_of(state) == factors_of(state)
    assert len(decoder.calls) == 2


def test_colours_beyond_black_and_white_are_cut() -> None:
    factors = torch.tensor([[9.0, -9.0, 0.0], [0.0, 0.0, 0.0], [0.5, 0.5, 0.5]])
    assert colours(torch.ones(1, 1, 1, 1), factors).tolist() == [[[[255, 0, 128]]]]


def test_half_precision_latents_are_drawn_as_well() -> None:
    (image,) = drawn(torch.zeros(5, 3), None, torch.ones(1, 2, 4, 4, dtype=torch.bfloat16))
    assert (image.index, image.width, image.height, image.data[:2]) == (0, 4, 4, b"\xff\xd8")
