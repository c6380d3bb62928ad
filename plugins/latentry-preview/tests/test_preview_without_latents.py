"""A model whose latents are no pictures makes its picture all the same."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from latentry_preview import PreviewOptions, preview
from latentry_sdk import JOB, LATENTS, SIGMAS, State


@pytest.mark.parametrize("latents", [0.0, torch.zeros(1, 16, 64)], ids=["a number", "tokens"])
def test_latents_of_other_dimensions_are_warned_of_and_left_as_they_are(latents: Any) -> None:
    warnings: list[str] = []
    job: Any = SimpleNamespace(options=lambda _kind: PreviewOptions(preview_every=1), warn=warnings.append)
    state = State().put(JOB, job).put(LATENTS, latents).put(SIGMAS, (1.0, 0.0))
    assert preview(state) is state
    assert warnings == ["there is no preview: this model has no latents of 4 dimensions"]
