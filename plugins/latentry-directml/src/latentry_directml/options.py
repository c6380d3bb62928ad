"""What a GPU of Windows can be told."""

from latentry_sdk import Count, Field, Options


class DirectMlOptions(Options):
    """How a GPU of Windows is used."""

    adapter: Count = Field(0, ge=0, le=63, description="Which GPU, counted as DirectML does")
    channels_last: bool = Field(False, description="Keep convolutions in channels-last order")
