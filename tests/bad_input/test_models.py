"""Model files that are damaged or mean harm (behaviours, section 9, item 6)."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from latentry import Host, Request, UserError
from latentry.events import Event, StageStarted

if TYPE_CHECKING:
    from tests.bad_input.conftest import Shell, Trial

pytestmark = pytest.mark.usefixtures("next_job_succeeds")

UNET, VAE = "unet/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.safetensors"
ENCODER = "text_encoder/model.safetensors"
Harm = Callable[[Path], object]
Header = dict[str, Any]

NUMBERS: Mapping[str, Mapping[str, bytes]] = {
    "nan": {"F16": b"\x00\x7e", "F32": b"\x00\x00\xc0\x7f"},
    "inf": {"F16": b"\x00\x7c", "F32": b"\x00\x00\x80\x7f"},
    "zero": {"F16": bytes(2), "F32": bytes(4)},
}
"""As bytes, by the name of the type in a safetensors header."""


def embedded(host: Host) -> Path:
    return next(entry.path for entry in host.models() if entry.name == "emoji")


@pytest.fixture
def folder(host: Host, tmp_path: Path) -> Iterator[Path]:
    """A copy of the embedded model, to be spoiled."""
    copy = tmp_path / "spoiled"
    shutil.copytree(embedded(host), copy, ignore=shutil.ignore_patterns("*.png", "*.md"))
    for path in copy.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    yield copy
    shutil.rmtree(copy, ignore_errors=True)


class Opened:
    """Makes a folder when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.marker),)


def marker(folder: Path) -> Path:
    return folder.parent / "opened"


def malice(folder: Path) -> bytes:
    return pickle.dumps(Opened(marker(folder)))


def read(path: Path) -> tuple[Header, bytes]:
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    return json.loads(raw[8 : 8 + length]), raw[8 + length :]


def write(path: Path, header: object, data: bytes) -> None:
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def change(path: Path, edit: Callable[[Header], object]) -> None:
    """Rewrite the header of a safetensors file."""
    header, data = read(path)
    edit(header)
    write(path, header, data)


def cut(path: Path, keep: int) -> None:
    raw = path.read_bytes()
    path.write_bytes(raw[:keep])


def cut_in_place(path: Path) -> None:
    """What `cp` does to a file that someone has open or mapped."""
    with path.open("r+b") as file:
        file.truncate(1000)


def fill(path: Path, value: str) -> None:
    """Every weight becomes `value`, one of `NUMBERS`."""
    header, data = read(path)
    (kind,) = {header[name]["dtype"] for name in tensors(header)}
    number = NUMBERS[value][kind]
    write(path, header, number * (len(data) // len(number)))


def huge_header(path: Path, length: int) -> None:
    with path.open("wb") as file:
        file.write(length.to_bytes(8, "little") + b"{")
        file.truncate(min(length + 8, 300 << 20))


def tensors(header: Header) -> list[str]:
    return [name for name in header if name != "__metadata__"]


def overlap(header: Header) -> None:
    same = [name for name in tensors(header) if header[name]["shape"] == header[tensors(header)[0]]["shape"]]
    header[same[-1]]["data_offsets"] = header[same[0]]["data_offsets"]


def turn(header: Header) -> None:
    name = next(name for name in tensors(header) if is_oblong(header[name]["shape"]))
    header[name]["shape"].reverse()


def is_oblong(shape: list[int]) -> bool:
    return len(shape) == 2 and shape[0] != shape[1]


def flatten(header: Header) -> None:
    for name in tensors(header):
        header[name]["shape"] = [prod(header[name]["shape"])]


def rename(header: Header) -> None:
    name = tensors(header)[-1]
    header["nobody.knows.this"] = header.pop(name)


def describe(header: Header, **changes: object) -> None:
    header[tensors(header)[0]] |= changes


def configure(path: Path, **changes: object) -> None:
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | changes))


def pickled(folder: Path) -> None:
    (folder / UNET).unlink()
    (folder / "unet/diffusion_pytorch_model.bin").write_bytes(malice(folder))


def folder_for_weights(path: Path) -> None:
    path.unlink()
    path.mkdir()


def nested(path: Path) -> None:
    path.write_text("[" * 500_000)


AUTO_MAP = {"AutoModel": "evil.Model"}

HARMS: Mapping[str, Harm] = {
    "weights cut short": lambda f: cut(f / UNET, -1000),
    "weights cut in the header": lambda f: cut(f / UNET, 500),
    "weights of no byte": lambda f: cut(f / VAE, 0),
    "weights with bytes after them": lambda f: (f / UNET).write_bytes((f / UNET).read_bytes() + bytes(64)),
    "a header of an exabyte": lambda f: huge_header(f / UNET, 1 << 60),
    "a header of 200 MiB": lambda f: huge_header(f / UNET, 200 << 20),
    "a header that is no JSON": lambda f: (f / UNET).write_bytes(b"\x10" + bytes(7) + b"{" * 16),
    "a header that is a list": lambda f: write(f / UNET, [1, 2], b""),
    "a deep header": lambda f: write_raw(f / UNET, b'{"a":' * 100_000),
    "tensors that overlap": lambda f: change(f / UNET, overlap),
    "a tensor before the file": lambda f: change(f / UNET, lambda h: describe(h, data_offsets=[-8, 0])),
    "a tensor after the file": lambda f: change(
        f / UNET, lambda h: describe(h, data_offsets=[1 << 50, 1 << 51])
    ),
    "an enormous shape": lambda f: change(f / UNET, lambda h: describe(h, shape=[1 << 40, 1 << 40])),
    "a negative shape": lambda f: change(f / UNET, lambda h: describe(h, shape=[-1, -1])),
    "an unknown number type": lambda f: change(f / UNET, lambda h: describe(h, dtype="F13")),
    "a turned matrix": lambda f: change(f / UNET, turn),
    "a turned matrix in an encoder": lambda f: change(f / ENCODER, turn),
    "flat tensors": lambda f: change(f / VAE, flatten),
    "a missing tensor": lambda f: change(f / UNET, rename),
    "a missing tensor in the VAE": lambda f: change(f / VAE, rename),
    "a missing tensor in an encoder": lambda f: change(f / ENCODER, rename),
    "code in a configuration": lambda f: configure(f / "unet/config.json", auto_map=AUTO_MAP),
    "code in an encoder's configuration": lambda f: configure(
        f / "text_encoder_2/config.json", auto_map=AUTO_MAP
    ),
    "code in the index": lambda f: configure(f / "model_index.json", auto_map=AUTO_MAP),
    "a class from elsewhere": lambda f: configure(f / "model_index.json", unet=["os", "system"]),
    "a pipeline from elsewhere": lambda f: configure(f / "model_index.json", vae=["evil", "AutoencoderEvil"]),
    "a configuration that is no JSON": lambda f: (f / "unet/config.json").write_text("{"),
    "a configuration that is a list": lambda f: (f / "vae/config.json").write_text("[]"),
    "a deep configuration": lambda f: nested(f / "unet/config.json"),
    "a configuration of 20 MiB": lambda f: (f / "unet/config.json").write_text(" " * (20 << 20) + "{}"),
    "a configuration of other widths": lambda f: configure(f / "unet/config.json", cross_attention_dim=1000),
    "a configuration with words for numbers": lambda f: configure(f / "unet/config.json", in_channels="nine"),
    "no configuration": lambda f: (f / "vae/config.json").unlink(),
    "no weights": lambda f: (f / VAE).unlink(),
    "a folder for weights": lambda f: folder_for_weights(f / VAE),
    "no tokenizer": lambda f: shutil.rmtree(f / "tokenizer"),
    "a tokenizer that is no JSON": lambda f: (f / "tokenizer/tokenizer.json").write_text("{"),
    "pickled weights": pickled,
    "pickled weights named safetensors": lambda f: (f / UNET).write_bytes(malice(f)),
    "a pickled tokenizer": lambda f: (f / "tokenizer/tokenizer.json").write_bytes(malice(f)),
    "no scheduler": lambda f: shutil.rmtree(f / "scheduler"),
    "a scheduler of NaN": lambda f: configure(f / "scheduler/scheduler_config.json", beta_start=float("nan")),
    "a scheduler of negative noise": lambda f: configure(
        f / "scheduler/scheduler_config.json", beta_start=-1
    ),
    "a scheduler of no steps": lambda f: configure(
        f / "scheduler/scheduler_config.json", num_train_timesteps=0
    ),
}

FILLED: Mapping[str, tuple[str, str]] = {
    "NaN in the UNet": (UNET, "nan"),
    "infinity in the UNet": (UNET, "inf"),
    "NaN in the VAE": (VAE, "nan"),
    "NaN in an encoder": (ENCODER, "nan"),
}

TOO_MUCH: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "a billion training steps": ("scheduler/scheduler_config.json", {"num_train_timesteps": 10**9}),
    "a billion layers": ("unet/config.json", {"layers_per_block": 10**9}),
    "widths of a billion": ("unet/config.json", {"block_out_channels": [10**9, 10**9]}),
    "an encoder of a billion layers": ("text_encoder/config.json", {"num_hidden_layers": 10**9}),
    "a vocabulary of a trillion": ("text_encoder/config.json", {"vocab_size": 10**12}),
    "pictures of a billion pixels": ("unet/config.json", {"sample_size": 10**6}),
}


def write_raw(path: Path, text: bytes) -> None:
    path.write_bytes(len(text).to_bytes(8, "little") + text)


@pytest.mark.parametrize("name", HARMS)
def test_a_spoiled_model_is_refused(trial: "Trial", folder: Path, name: str) -> None:
    HARMS[name](folder)
    message = trial.refused(model=str(folder), before="sample")
    assert "Traceback" not in message
    assert not marker(folder).exists()


@pytest.mark.parametrize("name", FILLED)
def test_a_model_of_nan_gives_an_error_and_no_picture(trial: "Trial", folder: Path, name: str) -> None:
    part, value = FILLED[name]
    fill(folder / part, value)
    message = trial.refused(model=str(folder), before="write_images")
    assert "NaN" in message or "finite" in message


@pytest.mark.parametrize("name", ["evil.ckpt", "evil.pt", "evil.bin", "evil.safetensors", "evil"])
def test_a_pickle_is_never_opened(trial: "Trial", tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(malice(path))
    assert "evil" in trial.refused(model=str(path))
    assert not marker(path).exists()


def test_the_pickle_of_these_tests_does_harm_when_opened(tmp_path: Path) -> None:
    pickle.loads(malice(tmp_path / "x"))
    assert marker(tmp_path / "x").exists()


def test_a_pickle_beside_good_weights_is_not_opened(trial: "Trial", folder: Path) -> None:
    for name in ("unet/diffusion_pytorch_model.bin", "text_encoder/pytorch_model.bin", "tokenizer/vocab.pkl"):
        (folder / name).write_bytes(malice(folder))
    assert trial.accepted(model=str(folder)).artifacts
    assert not marker(folder).exists()


LIMITED = """
import resource, sys, time
resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
from latentry_cli import run
sys.exit(run(["txt2img", "x", "--model", sys.argv[1], "-o", "x.png", "--steps", "1"]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")
@pytest.mark.parametrize("name", TOO_MUCH)
def test_a_configuration_that_asks_for_too_much_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    file, changes = TOO_MUCH[name]
    configure(folder / file, **changes)
    done = in_a_process(LIMITED, folder, tmp_path)
    assert done.returncode == 2, done.stderr[-2000:]
    assert done.stderr.splitlines()[-1].startswith("latentry: ")
    assert not (tmp_path / "x.png").exists()


def in_a_process(program: str, folder: Path, here: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, str(folder)],
        cwd=here,
        env=os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("harm", ["weights cut short", "a turned matrix", "no weights", "pickled weights"])
def test_a_model_replaced_between_plan_and_load_is_refused(trial: "Trial", folder: Path, harm: str) -> None:
    def replace(event: Event) -> None:
        if isinstance(event, StageStarted) and event.stage == "load":
            HARMS[harm](folder)

    with pytest.raises(UserError) as caught:
        trial.host.run(trial.request(model=str(folder)), on_event=replace)
    assert len(str(caught.value).splitlines()) == 1
    assert not marker(folder).exists()


def test_a_model_replaced_after_it_was_loaded_is_loaded_again(trial: "Trial", folder: Path) -> None:
    request = trial.request(model=str(folder))
    first = trial.host.run(request).artifacts[0].open().tobytes()
    fill(folder / VAE, "zero")
    second = trial.host.run(request).artifacts[0].open().tobytes()
    assert first != second
    HARMS["weights cut short"](folder)
    trial.refused(model=str(folder))


CUT = """
import os, sys
from pathlib import Path
from latentry import Host, Request, UserError
from latentry.events import StageStarted

folder, stage = Path(sys.argv[1]), "STAGE"

def cut(event):
    if isinstance(event, StageStarted) and event.stage == stage:
        for path in folder.rglob("*.safetensors"):
            os.truncate(path, 1000)

with Host() as host:
    try:
        host.run(Request(task="txt2img", prompt="x", steps=2, model=str(folder)), on_event=cut)
    except UserError as exc:
        print("refused", exc)
    print("alive", len(host.run(Request(task="txt2img", prompt="x", steps=1)).artifacts))
"""


@pytest.mark.parametrize("stage", ["load", "sample"])
def test_weights_that_shrink_under_a_job_do_not_end_the_process(
    folder: Path, tmp_path: Path, stage: str
) -> None:
    done = in_a_process(CUT.replace("STAGE", stage), folder, tmp_path)
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
    assert "alive 1" in done.stdout


@pytest.mark.parametrize(
    "name", ["weights cut short", "pickled weights", "a missing tensor", "code in the index"]
)
def test_the_command_line_refuses_a_spoiled_model_in_one_line(
    shell: "Shell", folder: Path, name: str
) -> None:
    HARMS[name](folder)
    shell.refused("txt2img", "x", "-o", "x.png", "--steps", "1", "--model", str(folder))


def test_the_command_line_leaves_nothing_behind_when_weights_are_nan(shell: "Shell", folder: Path) -> None:
    fill(folder / UNET, "nan")
    said = shell("txt2img", "x", "-o", "x.png", "--steps", "1", "--model", str(folder))
    assert said.code == 2, said.stderr
    assert list(shell.folder.iterdir()) == []


def test_requests_name_models_by_their_path_alone(trial: "Trial", folder: Path) -> None:
    assert trial.host.plan(Request(task="txt2img", model=str(folder))).header.path == folder
