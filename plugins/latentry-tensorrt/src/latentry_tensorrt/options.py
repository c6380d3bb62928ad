"""What TensorRT can be told."""

from platformdirs import user_cache_path

from latentry_sdk import Count, Field, Options
from latentry_sdk.files import Folder

DISTRIBUTIONS = ("tensorrt", "tensorrt-cu13", "tensorrt-cu12")
"""What TensorRT is installed as."""

DTYPES = ("float32", "float16", "bfloat16")


class TensorRtOptions(Options):
    """Where and how TensorRT runs."""

    gpu: Count = Field(0, ge=0, le=63, description="Which GPU, counted as CUDA does")
    range: Count = Field(
        2, ge=1, le=8, description="One engine does sizes up to so many times the first ones"
    )
    workspace: Count = Field(0, ge=0, description="MiB that building may use; 0 leaves TensorRT's choice")
    effort: Count = Field(3, ge=0, le=5, description="How long to search for fast kernels")
    tf32: bool = Field(False, description="Compute float32 products with 10 bits of mantissa, faster")
    refit: bool = Field(
        False, description="Put weights into an engine of the same layout instead of building"
    )
    cache: Folder = Field(
        default_factory=lambda: user_cache_path("latentry") / "tensorrt", description="Built engines"
    )
