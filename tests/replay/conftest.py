"""Real pictures of the embedded model, made and replayed in an empty folder."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from latentry_cli import run as command_line


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    stdout: str
    stderr: str

    @property
    def lines(self) -> list[str]:
        """The lines on stdout."""
        return self.stdout.splitlines()


@dataclass(frozen=True)
class Desk:
    """The command line in a folder of its own, and what a test needs to tamper with pictures."""

    folder: Path
    capture: pytest.CaptureFixture[str]

    def __call__(self, *arguments: object) -> Said:
        self.capture.readouterr()
        code = command_line([str(each) for each in arguments])
        return Said(code, *self.capture.readouterr())

    def make(self, *arguments: object) -> None:
        """Run a task, which must succeed."""
        said = self(*arguments, "--steps", 4)
        assert said.code == 0, said.stderr

    def inputs(self) -> None:
        """A picture and a mask, 64 × 64: photo.png and mask.png."""
        picture = Image.linear_gradient("L").resize((64, 64)).convert("RGB")
        ImageDraw.Draw(picture).ellipse((12, 12, 50, 50), fill="teal")
        mask = Image.new("L", (64, 64))
        ImageDraw.Draw(mask).rectangle((16, 16, 47, 47), fill=255)
        picture.save(self.folder / "photo.png")
        mask.save(self.folder / "mask.png")

    def record(self, name: str) -> Any:
        """Our record of a PNG."""
        with Image.open(self.folder / name) as opened:
            return json.loads(opened.info["latentry"])

    @contextmanager
    def changed_record(self, name: str) -> Iterator[Any]:
        """Our record of a PNG, to be changed; it is then written back, and the pixels stay."""
        record = self.record(name)
        yield record
        self.retell(name, {"latentry": json.dumps(record)})

    def retell(self, name: str, texts: Mapping[str, str]) -> None:
        """Save a PNG again with these texts in it, and no others."""
        chunks = PngInfo()
        for key, text in texts.items():
            chunks.add_itxt(key, text)
        with Image.open(self.folder / name) as opened:
            opened.load()
            opened.save(self.folder / name, pnginfo=chunks)

    def grey(self, name: str, texts: Mapping[str, str]) -> None:
        """A grey PNG with these texts."""
        Image.new("RGB", (64, 64), "grey").save(self.folder / name)
        self.retell(name, texts)


@pytest.fixture
def desk(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
    capfd: pytest.CaptureFixture[str],
) -> Desk:
    """A desk, without a configuration of the user's."""
    for name in [name for name in os.environ if name.startswith("LATENTRY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LATENTRY_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("LATENTRY_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("LATENTRY_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LATENTRY_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "cache"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return Desk(tmp_path / "here", capfd)
