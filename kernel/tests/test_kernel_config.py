"""Settings: a file, under variables; and errors that say where."""

import os
from pathlib import Path

import pytest

from latentry.config import Config, config_file, load_config
from latentry.errors import InvalidRequest


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def load(file: Path, text: str | None = None, **variables: str) -> Config:
    if text is not None:
        file.write_text(text, encoding="utf-8")
    named = {f"LATENTRY_{name}": value for name, value in variables.items()}
    return load_config({"LATENTRY_CONFIG": str(file), **named})


def test_without_a_file_there_are_defaults(file: Path) -> None:
    config = load(file)
    assert (config.executor, config.store, config.plugins, config.disabled) == ("inline", "memory", None, ())
    assert config.models_dir.is_absolute()


def test_variables_are_stronger_than_the_file(file: Path) -> None:
    config = load(file, 'store = "a"\nexecutor = "a"\n', EXECUTOR="b")
    assert (config.store, config.executor) == ("a", "b")


def test_a_file_sets_options_by_their_owners(file: Path) -> None:
    config = load(file, "[options.inpaint]\nstrength = 0.5\n")
    assert config.options == {"inpaint": {"strength": 0.5}}


@pytest.mark.parametrize(
    ("value", "plugins"), [("", ()), (" ", ()), ("toy", ("toy",)), ("toy, cpu,", ("toy", "cpu"))]
)
def test_a_variable_lists_plugins_and_an_empty_one_means_none(
    file: Path, value: str, plugins: tuple[str, ...]
) -> None:
    assert load(file, PLUGINS=value).plugins == plugins
    assert load(file, DISABLED=value).disabled == plugins


def test_the_plugins_variable_is_stronger_than_the_file(file: Path) -> None:
    assert load(file, 'plugins = ["toy"]', PLUGINS="").plugins == ()


def test_the_file_is_named_by_a_variable_or_lies_in_the_platforms_folder(file: Path) -> None:
    assert config_file({"LATENTRY_CONFIG": str(file)}) == file
    assert config_file({}).name == "config.toml"
    assert "latentry" in config_file({"LATENTRY_CONFIG": ""}).parts[-2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("store = [", "cannot be read"),
        ("\0", "cannot be read"),
        ("colour = 1", "unknown option 'colour'; known: cache_dir"),
        ("hook_seconds = 0", "hook_seconds"),
        ("hook_seconds = nan", "hook_seconds"),
        ("max_megapixels = true", "max_megapixels"),
        ("options = 3", "options"),
        ("plugins = 3", "plugins"),
    ],
)
def test_a_mistake_in_the_file_names_the_file(file: Path, text: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        load(file, text)
    assert str(file) in str(caught.value)
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_that_is_not_text_is_named(file: Path) -> None:
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidRequest, match=r"config\.toml cannot be read"):
        load(file)


def test_a_folder_in_place_of_the_file_is_named(file: Path) -> None:
    file.mkdir()
    with pytest.raises(InvalidRequest, match=r"config\.toml cannot be read"):
        load(file)


@pytest.mark.parametrize(("name", "value"), [("HOOK_SECONDS", "soon"), ("MAX_MEGAPIXELS", "-1")])
def test_a_mistake_in_a_variable_names_the_variable(file: Path, name: str, value: str) -> None:
    with pytest.raises(InvalidRequest, match=f"LATENTRY_{name}"):
        load(file, **{name: value})


def test_other_variables_are_not_ours(file: Path) -> None:
    assert load(file, NONSENSE="1") == load(file)


def test_loading_reads_no_environment_of_its_own(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "LATENTRY_STORE", "elsewhere")
    assert load(file).store == "memory"


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Config().store = "x"
