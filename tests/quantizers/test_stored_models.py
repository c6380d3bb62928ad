"""A model that `latentry quantize` has written draws what the same schemes draw after loading."""

import pytest

from latentry import Config, Host, Request
from latentry_cli import run
from latentry_sdk import UnknownName

SCHEMES = {"unet": "bitsandbytes:nf4", "vae_decoder": "quanto:int8", "text_encoder": "torchao:int4"}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The embedded model, stored quantized by the command."""
    folder = tmp_path_factory.mktemp("stored") / "small"
    pairs = [f"{part}={scheme}" for part, scheme in SCHEMES.items()]
    flags = [word for pair in pairs for word in ("--quantize", pair)]
    assert run(["quantize", "emoji", str(folder), *flags]) == 0
    return folder


def test_pixels_are_equal_and_the_schemes_are_recognised(written):
    asked = Request(task="txt2img", prompt="a red apple", steps=2, seed=1)
    with Host() as host:
        stored = host.run(asked.model_copy(update={"model": str(written)}))
        after = host.run(asked.model_copy(update={"model": "emoji", "quantize": SCHEMES}))
    assert {part: stored.applied["quantizers"][part] for part in SCHEMES} == SCHEMES
    pictures = [result.artifacts[0].open().tobytes() for result in (stored, after)]
    assert pictures[0] == pictures[1]


def test_another_scheme_than_the_stored_one_is_refused_and_so_is_a_folder_that_is_there(written, capsys):
    asked = Request(task="txt2img", model=str(written), quantize={"unet": "quanto:int8"})
    with Host() as host, pytest.raises(UnknownName, match="unknown quantizer for unet"):
        host.plan(asked)
    assert run(["quantize", "emoji", str(written), "--quantize", "unet=quanto:int8"]) == 2
    assert "is there already" in capsys.readouterr().err


def test_without_the_quantizers_plugin_planning_says_which_is_missing(written):
    few = (
        "stable-diffusion",
        "cpu",
        "txt2img",
        "emoji",
        "images",
        "samplers",
        "schedules",
        "quanto",
        "torchao",
    )
    asked = Request(task="txt2img", model=str(written))
    with Host(config=Config(plugins=few)) as host, pytest.raises(UnknownName, match="'bitsandbytes'"):
        host.plan(asked)
