"""Whatever a prompt holds, its picture says so again: in our record and in the text for others."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from latentry import Config, Host, Request
from latentry_images.metadata import clean
from latentry_replay.foreign import read_foreign
from latentry_replay.rebuilding import rebuilt
from latentry_replay.record import read_record
from latentry_sdk.records import read_texts

PIECES = st.sampled_from(
    [
        "Steps: 9, Sampler: x, CFG scale: 2, Seed: 3",
        "Negative prompt:",
        "\n",
        '"',
        ", ",
        ": ",
        "\\",
        "é🍎",
        "تفاحة",
    ]
)
TEXT = st.lists(PIECES | st.text("abc {}|:[]()\r\n\t\x00\u2028", max_size=8), max_size=6).map("".join)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """All plugins, on folders of its own."""
    folder = tmp_path_factory.mktemp("host")
    with Host(config=Config(models_dir=folder, data_dir=folder, cache_dir=folder)) as host:
        yield host


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(prompt=TEXT, negative=TEXT, form=st.sampled_from(["png", "jpeg", "webp"]))
@example(
    "Steps: 9, Sampler: x, CFG scale: 2, Seed: 3", "a\nSteps: 1, Sampler: y, Seed: 1, CFG scale: 1", "png"
)
def test_any_prompt_is_read_again(host: Host, prompt: str, negative: str, form: str) -> None:
    asked = Request(task="txt2img", prompt=prompt, negative=negative, seed=1, steps=1, format=form)
    result = host.run(asked)
    texts = read_texts(result.artifacts[0].data, "the picture", 10_000)
    record, foreign = read_record(texts), read_foreign(texts)
    assert record is not None
    again = rebuilt(host, record, model=None, inputs={}).request
    assert (again.prompt, again.negative) == (prompt, negative)
    assert foreign is not None
    assert (foreign.prompt, foreign.negative) == tuple(map(as_written, record.prompts))
    assert (foreign.settings["seed"], foreign.settings["steps"]) == ("1", "1")


def as_written(text: str) -> str:
    """The text as other programs are given it: without controls, and with no start of a negative prompt."""
    return clean(text).replace("Negative prompt:", "Negative prompt :").strip()
