"""What an NVIDIA GPU can be told."""

from latentry_sdk import Field
from latentry_sdk.torch_gpu import GraphOptions


class CudaOptions(GraphOptions):
    """How an NVIDIA GPU is used."""

    tf32: bool = Field(
        False, description="Compute float32 products and convolutions with 10 bits of mantissa, faster"
    )
