"""Which model takes the last steps, and where it begins."""

from typing import Annotated

from latentry_sdk import Field, Number, Options


class RefinerOptions(Options):
    """The second model; without one nothing changes."""

    refiner: Annotated[str, Field(min_length=1, max_length=4096)] | None = Field(
        None, description="The model for the last steps: a name, folder or .safetensors file"
    )
    switch_at: Number = Field(
        0.8, gt=0, lt=1, description="The share of the noise's timesteps that the first model has"
    )
