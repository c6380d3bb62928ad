"""The host's configuration: a TOML file, under `LATENTRY_*` variables."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from platformdirs import user_cache_path, user_config_path, user_data_path
from pydantic import BeforeValidator, Field

from latentry.errors import InvalidRequest
from latentry.request import Number, Options, parsed


def _split(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
"""Names as a list, or in one text with commas between them."""


class Config(Options):
    """What a host can be told. A variable is named after its field: `LATENTRY_MODELS_DIR`."""

    plugins: Names | None = Field(None, description="The plugins to load; all if left out, none if empty")
    disabled: Names = Field((), description="Plugins not to load")
    model: str | None = Field(None, description="The model of requests that name none")
    models_dir: Path = Field(
        default_factory=lambda: user_data_path("latentry") / "models", description="Models that have a name"
    )
    data_dir: Path = Field(default_factory=lambda: user_data_path("latentry"), description="Jobs and results")
    cache_dir: Path = Field(default_factory=lambda: user_cache_path("latentry"), description="Disposable")
    executor: str = Field("inline", description="Where jobs run")
    store: str = Field("memory", description="Where jobs are kept")
    hook_seconds: Number = Field(10.0, gt=0, description="Seconds a plugin may take to load")
    max_megapixels: Number = Field(64.0, gt=0, description="Megapixels of all pictures of one job together")
    options: Mapping[str, Mapping[str, Any]] = Field({}, description="Options under those of requests")


def config_file(environ: Mapping[str, str]) -> Path:
    """`$LATENTRY_CONFIG`, or config.toml in the platform's configuration folder."""
    return Path(environ.get("LATENTRY_CONFIG") or user_config_path("latentry") / "config.toml")


def load_config(environ: Mapping[str, str]) -> Config:
    """The configuration from the file and, which is stronger, from `environ`."""
    path = config_file(environ)
    layers = [(f"configuration ({path}): ", _from_file(path))]
    layers += [(f"{named}: ", {name: environ[named]}) for name, named in VARIABLES if named in environ]
    for where, layer in layers:
        parsed(Config, layer, where=where)
    return Config.model_validate({name: value for _, layer in layers for name, value in layer.items()})


def _from_file(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        import tomllib  # only where there is a file

        return tomllib.loads(text)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as exc:
        raise InvalidRequest(f"{path} cannot be read: {exc}") from exc


VARIABLES = [(name, f"LATENTRY_{name.upper()}") for name in Config.model_fields if name != "options"]
