"""What Apple's GPU can be told."""

from latentry_sdk import Field, Options


class MpsOptions(Options):
    """How Apple's GPU is used."""

    move: bool = Field(
        True, description="Move weights to the GPU, which has the processor's memory, instead of copying them"
    )
    channels_last: bool = Field(False, description="Keep convolutions in channels-last order")
