"""Which model takes the last steps, and where it begins."""

from latentry_sdk import Field, Number, Options, Reference


class RefinerOptions(Options):
    """The second model; without one nothing changes."""

    refiner: Reference | None = Field(
        None, description="The model for the last steps: a name, folder or .safetensors file"
    )
    switch_at: Number = Field(
        0.8, gt=0, lt=1, description="The share of the noise's timesteps that the first model has"
    )
