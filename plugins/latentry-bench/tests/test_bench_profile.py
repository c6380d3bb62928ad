"""The profile's file: whole or not at all, one entry for a model and size, and none of another machine's."""

import json
import os
from pathlib import Path

import pytest

from latentry_bench.machine import changed, signature
from latentry_bench.profile import Entry, Profile, Rate, key, profile_path, read, write
from latentry_sdk import Detected, InvalidRequest, ModelRange, Unavailable, UserError

MODEL = Detected("sdxl", {"unet": 1000, "vae": 24}, ModelRange((1.0, 2.0)), (1024, 1024), 8)


def entry(side: int = 10, device: str = "cpu", **more: object) -> Entry:
    values = {"variant": "sdxl", "parameters": 1024, "side": side, "device": device, "dtype": "float32",
              "size": (1024, 1024), "picture": 1.5, "measured": "2026-01-01"}  # fmt: skip
    return Entry.model_validate({**values, **more})


def rate(seconds: float, **more: object) -> Rate:
    values = {"device": "a", "dtype": "float32", "operations": 5.0, "seconds": seconds}
    return Rate.model_validate({**values, **more})


def test_what_is_written_is_read_again(profile: Path) -> None:
    kept = Profile(machine=signature(), entries=(entry(optimizers=("unet=channels-last",), owners=("a",)),))
    assert write(profile_path(), kept) == profile
    assert read(profile_path()) == kept
    assert json.loads(profile.read_text())["version"] == 1


def test_no_file_is_no_profile_and_an_empty_variable_turns_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(profile_path()) is None
    monkeypatch.setenv("LATENTRY_PROFILE", "")
    assert profile_path() is None
    assert read(None) is None
    with pytest.raises(InvalidRequest, match="turned off"):
        write(None, Profile(machine={}))


def test_it_lies_beside_the_configuration_file(tmp_path: Path) -> None:
    assert profile_path({"LATENTRY_CONFIG": str(tmp_path / "my.toml")}) == tmp_path / "machine.json"
    found = profile_path({})
    assert found is not None
    assert found.parts[-2:] == ("latentry", "machine.json")


def test_a_write_that_fails_leaves_the_old_file_and_no_other(
    profile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = write(profile_path(), Profile(machine=signature(), entries=(entry(),))).read_bytes()

    def broken(_source: object, _target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", broken)
    with pytest.raises(Unavailable, match="No space left"):
        write(profile_path(), Profile(machine=signature()))
    assert profile.read_bytes() == before
    assert [path.name for path in profile.parent.iterdir()] == ["machine.json"]


def test_plans_do_not_read_a_file_again_that_is_the_same(
    profile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(profile_path(), Profile(machine={}, entries=(entry(device="cpu"),)))
    times: list[Path] = []
    whole = Path.read_bytes

    def noted(path: Path) -> bytes:
        times.append(path)
        return whole(path)

    monkeypatch.setattr(Path, "read_bytes", noted)
    assert read(profile_path()) == read(profile_path())
    assert times == [profile]
    write(profile_path(), Profile(machine={}, entries=(entry(device="gpu"),)))
    found = read(profile_path())
    assert found is not None
    assert found.entries[0].device == "gpu"
    profile.unlink()
    assert read(profile_path()) is None


NO_PROFILES = {
    "empty": "",
    "half": "{",
    "list": "[]",
    "null": "null",
    "text": '"x"',
    "newer": '{"version": 2, "machine": {}}',
    "entry": '{"machine": {}, "entries": [{}]}',
    "bytes": "\ud800",
    "unknown": '{"machine": {}, "more": 1}',
    "deep": "[" * 100_000,
}


@pytest.mark.parametrize("text", NO_PROFILES.values(), ids=NO_PROFILES.keys())
def test_what_is_no_profile_is_said_in_one_line(profile: Path, text: str) -> None:
    profile.parent.mkdir()
    profile.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(UserError, match=r"machine.json cannot be read") as caught:
        read(profile_path())
    assert "\n" not in str(caught.value)


def test_a_folder_in_its_place_is_said(profile: Path) -> None:
    profile.mkdir(parents=True)
    with pytest.raises(UserError, match="cannot be read"):
        read(profile_path())


@pytest.mark.parametrize(
    ("size", "side"),
    [((64, 64), 6), ((512, 512), 9), ((512, 768), 9), ((640, 640), 9), ((1024, 768), 10), ((1536, 1536), 11)],
)
def test_sizes_near_each_other_are_of_one_class(size: tuple[int, int], side: int) -> None:
    assert key(MODEL, size) == ("sdxl", 1024, side)


def test_an_entry_is_found_by_variant_number_of_values_and_size() -> None:
    kept = Profile(machine={}, entries=(entry(9, "a"), entry(10, "b"), entry(10, "c", parameters=7)))
    found = kept.find(MODEL, (1000, 1000))
    assert found is not None
    assert found.device == "b"
    assert kept.find(MODEL, (2048, 2048)) is None


def test_a_new_entry_replaces_the_one_for_the_same() -> None:
    kept = Profile(machine=signature(), entries=(entry(9, "a"), entry(10, "b")))
    assert [one.device for one in kept.updated(signature(), entry(10, "c")).entries] == ["a", "c"]


def test_entries_of_another_machine_are_not_kept() -> None:
    kept = Profile(machine={**signature(), "cores": 1000}, entries=(entry(9, "a"),), rates=(rate(1.0),))
    found = kept.updated(signature(), entry(10, "c"))
    assert [one.device for one in found.entries] == ["c"]
    assert found.rates == ()
    assert dict(found.machine) == dict(signature())


def test_a_new_rate_replaces_the_one_of_the_same_work_in_the_same_place() -> None:
    first = rate(1.0), rate(2.0, device="b"), rate(3.0, operations=7.0)
    kept = Profile(machine=signature(), rates=first)
    found = kept.updated(signature(), entry(9, "a"), [rate(4.0), rate(5.0, dtype="float16")])
    assert [one.seconds for one in found.rates] == [2.0, 3.0, 4.0, 5.0]


def test_the_signature_names_the_machine_and_what_changed_is_said() -> None:
    now = signature()
    assert now["cores"] == os.cpu_count()
    assert now["processor"]
    assert changed(now, now) is None
    assert changed({**now, "torch": "1.0"}, now) == f"torch was 1.0, and is {now['torch']}"
    assert "none" in str(changed({**now, "fan": "loud"}, now))
