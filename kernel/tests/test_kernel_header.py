"""What is read of a checkpoint, and what is refused: nothing but `InvalidModel` ever comes out."""

import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from time import process_time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from latentry.errors import InvalidModel
from latentry.header import MAX_HEADER, MAX_JSON, read_config, read_header, read_safetensors_header
from latentry.types import TensorInfo

GOOD: Mapping[str, Any] = {
    "__metadata__": {"format": "pt"},
    "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
    "b": {"dtype": "F16", "shape": [], "data_offsets": [24, 26]},
    "c": {"dtype": "U8", "shape": [0, 4], "data_offsets": [26, 26]},
}
BODY = 26
quick = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def write(path: Path, header: Any, body: int = BODY, length: int | None = None) -> Path:
    """A safetensors file with a header, as JSON or bytes, that claims to be `length` long."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    claimed = len(raw) if length is None else length
    path.write_bytes(claimed.to_bytes(8, "little") + raw + bytes(body))
    return path


def with_tensor(**changes: Any) -> dict[str, Any]:
    return {**GOOD, "a": {**GOOD["a"], **changes}}


def without_field(name: str) -> dict[str, Any]:
    return {**GOOD, "a": {field: value for field, value in GOOD["a"].items() if field != name}}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def read_refused(file: Path) -> None:
    with pytest.raises(InvalidModel):
        read_header(file)


def test_a_good_file_tells_its_tensors(file: Path) -> None:
    header = read_header(write(file, GOOD))
    assert header.tensors() == {
        "a": TensorInfo("F32", (2, 3)),
        "b": TensorInfo("F16", ()),
        "c": TensorInfo("U8", (0, 4)),
    }
    assert not header.is_folder


BAD: Mapping[str, Any] = {
    "no object": [],
    "no JSON": b"{'a': 1}",
    "no UTF-8": b'{"\xff": 1}',
    "an open string": b'{"a',
    "deep nesting": b"[" * 200_000,
    "deep objects": b'{"a":' * 200_000,
    "an endless number": b'{"a": ' + b"9" * 10_000 + b"}",
    "a tensor that is no object": {**GOOD, "a": 1},
    "no dtype": without_field("dtype"),
    "no shape": without_field("shape"),
    "no offsets": without_field("data_offsets"),
    "an unknown dtype": with_tensor(dtype="F31"),
    "a dtype that is a list": with_tensor(dtype=[]),
    "a negative side": with_tensor(shape=[-2, -3]),
    "a side that is true": with_tensor(shape=[True, 6]),
    "a side that is a float": with_tensor(shape=[2.0, 3]),
    "a shape that is text": with_tensor(shape="23"),
    "a shape of another size": with_tensor(shape=[2, 4]),
    "three offsets": with_tensor(data_offsets=[0, 24, 25]),
    "offsets backwards": with_tensor(data_offsets=[24, 0]),
    "offsets before the start": with_tensor(data_offsets=[-24, 0]),
    "offsets that overlap": {**GOOD, "b": {**GOOD["b"], "data_offsets": [23, 25]}},
    "offsets with a gap": {**GOOD, "b": {**GOOD["b"], "data_offsets": [25, 27]}},
    "two tensors in one place": {**GOOD, "d": GOOD["a"]},
    "offsets beyond the file": {"a": {"dtype": "U8", "shape": [2**60], "data_offsets": [0, 2**60]}},
}


@pytest.mark.parametrize("header", BAD.values(), ids=BAD)
def test_a_bad_header_is_an_invalid_model(file: Path, header: Any) -> None:
    with pytest.raises(InvalidModel) as caught:
        read_header(write(file, header))
    assert "model.safetensors" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("length", [0, 1, 10**6, MAX_HEADER + 1, 2**63, 2**64 - 1])
def test_a_header_that_claims_a_wrong_length_is_refused_without_reading_it(file: Path, length: int) -> None:
    with pytest.raises(InvalidModel):
        read_header(write(file, GOOD, length=length))


def test_a_file_cut_anywhere_is_refused(file: Path) -> None:
    whole = write(file, GOOD).read_bytes()
    for size in range(len(whole)):
        file.write_bytes(whole[:size])
        with pytest.raises(InvalidModel):
            read_header(file)


def test_a_padded_file_is_refused(file: Path) -> None:
    with pytest.raises(InvalidModel, match="padded"):
        read_header(write(file, GOOD, body=BODY + 1))


def test_absurd_shapes_are_refused_in_bounded_time(file: Path) -> None:
    """1 MB of digits takes a moment to read; their product takes seconds, and that of 10 MB minutes."""
    shape = b"[" + b",".join([b"9" * 4000] * 250) + b"]"
    header = b'{"a": {"dtype": "U8", "data_offsets": [0, 26], "shape": ' + shape + b"}}"
    write(file, header)
    began = process_time()
    with pytest.raises(InvalidModel):
        read_header(file)
    assert process_time() - began < 1


def test_a_pipe_named_like_a_model_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    pipe, outcome = tmp_path / "pipe.safetensors", list[Exception]()
    os.mkfifo(pipe)

    def read() -> None:
        try:
            read_header(pipe)
        except Exception as exc:
            outcome.append(exc)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(2)
    if reader.is_alive():  # let go of it before complaining
        os.close(os.open(pipe, os.O_WRONLY))
        pytest.fail("it waits for someone to write into the pipe")
    assert isinstance(outcome[0], InvalidModel)


@quick
@given(raw=st.binary(max_size=200))
def test_random_bytes_are_an_invalid_model(file: Path, raw: bytes) -> None:
    file.write_bytes(raw)
    with pytest.raises(InvalidModel):
        read_safetensors_header(file)


@quick
@given(header=json_values)
def test_random_json_raises_nothing_but_invalid_model(file: Path, header: Any) -> None:
    try:
        read_safetensors_header(write(file, header))
    except InvalidModel:
        pass


@quick
@given(field=st.sampled_from(["dtype", "shape", "data_offsets"]), value=json_values)
def test_a_random_field_raises_nothing_but_invalid_model(file: Path, field: str, value: Any) -> None:
    try:
        found = read_safetensors_header(write(file, with_tensor(**{field: value})))
    except InvalidModel:
        return
    assert set(found) == {"a", "b", "c"}


@quick
@given(at=st.integers(0, 300), byte=st.integers(0, 255))
def test_a_changed_byte_raises_nothing_but_invalid_model(file: Path, at: int, byte: int) -> None:
    raw = bytearray(write(file, GOOD).read_bytes())
    raw[at % len(raw)] = byte
    file.write_bytes(raw)
    try:
        read_safetensors_header(file)
    except InvalidModel:
        pass


def test_a_pickle_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "model.ckpt").write_bytes(b"\x80\x04.")
    with pytest.raises(InvalidModel, match="pickled checkpoints are never opened"):
        read_header(tmp_path / "model.ckpt")


def test_a_folder_without_an_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match=r"holds no model_index\.json"):
        read_header(tmp_path)


def test_pickled_weights_in_a_folder_are_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text("{}")
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"\x80")
    with pytest.raises(InvalidModel, match="convert pickled weights with a trusted tool"):
        read_header(tmp_path).tensors("unet")


def test_plain_weights_are_taken_before_the_fp16_variant(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text("{}")
    (tmp_path / "unet").mkdir()
    for name in ("model.safetensors", "model.fp16.safetensors"):
        write(tmp_path / "unet" / name, GOOD)
    header = read_header(tmp_path)
    assert [path.name for path in header.weight_files("unet")] == ["model.safetensors"]
    assert header.tensors("unet").keys() == {"a", "b", "c"}


def test_a_component_without_a_configuration_is_named(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text("{}")
    with pytest.raises(InvalidModel, match="vae has no configuration"):
        read_header(tmp_path).config("vae")


@pytest.mark.parametrize(
    "text", ["", "[]", "1", "{", '{"auto_map": {"AutoModel": "evil.Model"}}', "\0", "[" * 100_000], ids=repr
)
def test_a_bad_configuration_is_an_invalid_model(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(InvalidModel):
        read_config(tmp_path / "config.json")


def test_a_huge_configuration_is_refused_by_its_size(tmp_path: Path) -> None:
    with (tmp_path / "config.json").open("wb") as file:
        file.truncate(MAX_JSON + 1)
    with pytest.raises(InvalidModel, match="larger than 8 MiB"):
        read_config(tmp_path / "config.json")


def test_a_signature_changes_when_a_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text("{}")
    header = read_header(tmp_path)
    before = header.signature()
    assert header.signature() == before
    os.utime(tmp_path / "model_index.json", ns=(1, 1))
    assert header.signature() != before


def test_a_signature_is_of_every_file_that_is_there_and_follows_links_to_files_alone(tmp_path: Path) -> None:
    model, elsewhere = tmp_path / "model", tmp_path / "elsewhere"
    for folder in (model / "unet", elsewhere):
        folder.mkdir(parents=True)
    (model / "model_index.json").write_text("{}")
    (elsewhere / "weights").write_bytes(b"four")
    (model / "unet" / ".linked").symlink_to(elsewhere / "weights")
    (model / "gone").symlink_to(elsewhere / "nothing")
    (model / "folder").symlink_to(elsewhere)
    found = [(name, size) for name, size, _ in read_header(model).signature()]
    assert found == [(str(model / "model_index.json"), 2), (str(model / "unet" / ".linked"), 4)]
