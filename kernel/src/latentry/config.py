"""The host's configuration: a TOML file, under `LATENTRY_*` variables, under flags."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import Field

from latentry.errors import InvalidRequest
from latentry.request import Number, Options
from latentry.validation import parsed


class Config(Options):
    """What a host can be told. A variable is named after its field: `LATENTRY_MODELS_DIR`."""

    plugins: tuple[str, ...] | None = Field(
        None, description="The plugins to load; all when left out, none when empty"
    )
    disabled: tuple[str, ...] = Field((), description="Plugins not to load")
    model: str | None = Field(None, description="The model of requests that name none")
    models_dir: Path = Field(
        default_factory=lambda: platformdirs.user_data_path("latentry") / "models",
        description="Folders and .safetensors files here can be named in requests",
    )
    data_dir: Path = Field(
        default_factory=lambda: platformdirs.user_data_path("latentry"), description="Jobs and results"
    )
    cache_dir: Path = Field(
        default_factory=lambda: platformdirs.user_cache_path("latentry"), description="What can be made again"
    )
    executor: str = Field("inline", description="Where jobs run")
    store: str = Field("memory", description="Where jobs are kept")
    hook_seconds: Number = Field(10.0, gt=0, description="Seconds a plugin may take to load")
    max_megapixels: Number = Field(64.0, gt=0, description="Megapixels of all pictures of one job together")
    options: Mapping[str, Mapping[str, Any]] = Field(
        {}, description="Options under those of requests, by owner"
    )


def config_file(environ: Mapping[str, str]) -> Path:
    """`$LATENTRY_CONFIG`, or config.toml in the platform's configuration folder."""
    named = environ.get("LATENTRY_CONFIG")
    return Path(named) if named else platformdirs.user_config_path("latentry") / "config.toml"


def load_config(environ: Mapping[str, str], flags: Mapping[str, Any] | None = None) -> Config:
    """The configuration from the file, `environ` and `flags`, each stronger than the one before."""
    path = config_file(environ)
    variables = _from_variables(environ)
    layers = [(f"configuration ({path}): ", _from_file(path)), ("flags: ", flags or {})]
    layers += [(f"LATENTRY_{name.upper()}: ", {name: value}) for name, value in variables.items()]
    for where, layer in layers:
        parsed(Config, layer, where=where)
    return Config.model_validate({**layers[0][1], **variables, **layers[1][1]})


def _from_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as exc:
        raise InvalidRequest(f"{path} cannot be read: {exc}") from exc


def _from_variables(environ: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in Config.model_fields:
        value = environ.get(f"LATENTRY_{name.upper()}")
        if value is not None and name != "options":
            is_list = name in ("plugins", "disabled")
            found[name] = [part.strip() for part in value.split(",") if part.strip()] if is_list else value
    return found
