"""What an AMD GPU can be told."""

from typing import Literal

from latentry_sdk import Field
from latentry_sdk.torch_gpu import GraphOptions


class RocmOptions(GraphOptions):
    """How an AMD GPU is used."""

    attention: Literal["auto", "flash", "efficient", "math"] = Field(
        "auto", description="The kernel of attention; one that cannot do it is an error"
    )
