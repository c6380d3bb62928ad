"""The embedded model in a worker: the pixels of the inline executor, and cancelling at a step."""

import threading
from pathlib import Path
from typing import Any

import pytest

from latentry import Config, Host, Request
from latentry.errors import Cancelled
from latentry_sdk import ModelLoaded, Previewed, Stepped

pytestmark = pytest.mark.slow
APPLE: dict[str, Any] = {
    "task": "txt2img",
    "prompt": "a red apple",
    "steps": 4,
    "seed": 7,
    "width": 64,
    "height": 64,
}


@pytest.fixture(scope="module")
def here() -> Any:
    """A host that runs jobs in this process."""
    with Host(config=Config()) as host:
        yield host


@pytest.fixture(scope="module")
def there() -> Any:
    """A host that runs them in a worker."""
    with Host(config=Config(executor="workers")) as host:
        yield host


@pytest.mark.parametrize("more", [{}, {"batch": 2, "guidance": 7.5}, {"sampler": "euler_ancestral"}], ids=str)
def test_files_and_what_was_applied_are_the_same(here: Host, there: Host, more: dict[str, Any]) -> None:
    mine, theirs = (host.run(Request(**APPLE | more)) for host in (here, there))
    assert theirs.artifacts == mine.artifacts  # every byte of the files, the record in them too
    left = {"memory_left": theirs.applied["memory_left"]}  # what was free meanwhile is of no job's making
    assert theirs.applied == {**mine.applied, **left}


def test_a_pil_image_and_a_path_inpaint_the_same(here: Host, there: Host, tmp_path: Path) -> None:
    from PIL import Image

    picture = here.run(Request(**APPLE)).artifacts[0].open().convert("RGB")
    mask = Image.new("L", picture.size, 0)
    mask.paste(255, (16, 16, 48, 48))
    picture.save(tmp_path / "apple.png")
    mask.save(tmp_path / "mask.png")
    asked = {**APPLE, "task": "inpaint", "prompt": "a green pear"}
    wanted = here.run(Request(**asked, inputs={"image": picture, "mask": mask}))
    files = {"image": tmp_path / "apple.png", "mask": (tmp_path / "mask.png").read_bytes()}
    for inputs in ({"image": picture, "mask": mask}, files):
        found = there.run(Request(**asked, inputs=inputs))
        assert found.artifacts[0].open().tobytes() == wanted.artifacts[0].open().tobytes()


def test_cancelled_at_a_step(there: Host) -> None:
    cancel, told = threading.Event(), list[Any]()

    def watch(event: Any) -> None:
        if isinstance(event, Stepped) and event.step == 3:
            cancel.set()

    with pytest.raises(Cancelled):
        there.run(Request(**APPLE | {"steps": 1000}), on_event=watch, cancel=cancel)
    there.run(Request(**APPLE), on_event=told.append)
    assert not any(isinstance(event, ModelLoaded) for event in told)  # the worker stopped, and was not ended


def test_previews_come_while_it_runs(there: Host) -> None:
    told: list[Any] = []
    there.run(Request(**APPLE, options={"preview": {"preview_every": 1}}), on_event=told.append)
    shown = [event for event in told if isinstance(event, Previewed)]
    assert len(shown) >= 3
    assert all(image.data.startswith(b"\xff\xd8") for event in shown for image in event.images)
