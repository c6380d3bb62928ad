"""What Intel's extension can be told."""

from typing import Literal

from latentry_sdk import Field, Options


class IpexOptions(Options):
    """Where and how Intel's extension runs."""

    target: Literal["cpu", "xpu"] = Field("cpu", description="The processor, or Intel's GPU")
    channels_last: bool = Field(
        True, description="Keep convolutions in channels-last order, as Intel advises"
    )
    prepack: bool = Field(False, description="Keep weights in the layout that oneDNN computes in")
