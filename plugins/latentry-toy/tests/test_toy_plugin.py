"""The toy, through a host of its own."""

import io
import json
from pathlib import Path

import pytest

import latentry_toy
from latentry import Config, Host, Request, UserError
from latentry_toy.grid import as_text
from latentry_toy.painter import PATTERNS


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host([latentry_toy], Config(data_dir=tmp_path, models_dir=tmp_path / "models"))


def drawn(host: Host, prompt: str, **more: object) -> bytes:
    return host.run(Request(task="toy", prompt=prompt, seed=1, **more)).artifacts[0].data  # type: ignore[arg-type]


@pytest.mark.parametrize("pattern", sorted(PATTERNS))
def test_the_picture_is_the_pattern_that_the_prompt_names(host: Host, pattern: str) -> None:
    pixels = drawn(host, f"a {pattern} please")[-64:]
    inside = [PATTERNS[pattern](x, y) for y in range(8) for x in range(8)]
    assert [value > 127 for value in pixels] == inside


def test_pillow_reads_the_pictures(host: Host) -> None:
    image = pytest.importorskip("PIL.Image").open(io.BytesIO(drawn(host, "ring")))
    assert (image.size, image.mode) == ((8, 8), "L")


def test_an_unknown_pattern_is_an_error_that_lists_the_known_ones(host: Host) -> None:
    with pytest.raises(UserError, match="blank, cross, left, ring, top"):
        drawn(host, "a horse")


def test_image_i_of_a_batch_is_the_single_image_of_its_seed(host: Host) -> None:
    batch = host.run(Request(task="toy", prompt="ring", seed=5, batch=4)).artifacts
    singles = [host.run(Request(task="toy", prompt="ring", seed=5 + i)).artifacts[0] for i in range(4)]
    assert [one.data for one in batch] == [one.data for one in singles]
    assert len({one.data for one in batch}) == 4


def test_less_contrast_is_nearer_to_grey(host: Host) -> None:
    dim = drawn(host, "left", options={"toy": {"contrast": 0.2}})[-64:]
    assert 120 < sum(dim[:4]) / 4 < 200 < sum(drawn(host, "left")[-64:][:4]) / 4


def test_one_bit_weights_are_rounded_and_the_pattern_stays(host: Host) -> None:
    plain = drawn(host, "cross")[-64:]
    rounded = drawn(host, "cross", quantize={"painter": "toy-round:int1"})[-64:]
    assert plain != rounded
    assert [value > 127 for value in plain] == [value > 127 for value in rounded]


def test_prompts_by_lines_give_pictures_as_text(
    host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("cross\n"))
    host.serve("toy-lines")
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 8
    assert set(rows[3]) <= set("*#%@")
    assert set(rows[0][:6] + rows[0][-6:]) <= set(" .:-")
    assert as_text(drawn(host, "cross")).count("\n") == 7


def test_records_are_files_that_outlive_the_host(tmp_path: Path) -> None:
    config = Config(
        data_dir=tmp_path, models_dir=tmp_path / "models", store="toy-json", executor="toy-thread"
    )
    with Host([latentry_toy], config) as host:
        drawn(host, "top")
    (kept,) = Host([latentry_toy], config).store.records()
    assert (kept.status, kept.request.prompt) == ("done", "top")
    (file,) = tmp_path.glob("toy-jobs/*.json")
    assert json.loads(file.read_text())["status"] == "done"
