"""What `compile` can be told; imports nothing heavy."""

from typing import Literal

from platformdirs import user_cache_path

from latentry_sdk import Field, Options
from latentry_sdk.files import Folder

Mode = Literal["default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"]
Dynamic = Literal["auto", "on", "off"]


class CompileOptions(Options):
    """How torch.compile is asked."""

    backend: str = Field(
        "inductor", pattern=r"[A-Za-z0-9_.-]{1,64}", description="inductor, aot_eager, eager, cudagraphs …"
    )
    mode: Mode = Field("default", description="What inductor spends time on")
    blocks: bool = Field(True, description="Only blocks that repeat, where the model names such; else all")
    dynamic: Dynamic = Field(
        "auto", description="One program for all sizes: on, off, or from the second size on"
    )
    cache: Folder = Field(
        default_factory=lambda: user_cache_path("latentry") / "inductor",
        description="Programs of inductor; the environment's TORCHINDUCTOR_CACHE_DIR comes first",
    )
