"""Other legal values are found for what options declare."""

from typing import Literal

from latentry_sdk import Field, Number, Options, Seed
from latentry_sdk.testing.other_options import other_options


class Several(Options):
    """One of each kind."""

    share: Number = Field(0.0, ge=0, le=1)
    factor: Number = Field(1.0, gt=0, le=1)
    count: int = Field(4, ge=0, le=64)
    most: int = Field(64, ge=0, le=64)
    free: int = 3
    on: bool = False
    way: Literal["first", "second"] = "first"
    seed: Seed | None = None
    text: str = "as it is"


def test_each_kind_gets_another_legal_value() -> None:
    found = other_options(Several)
    assert found == {
        "share": 0.25,
        "factor": 0.75,
        "count": 5,
        "most": 63,
        "on": True,
        "way": "second",
        "seed": 1,
    }
    assert Several.model_validate(dict(found)) != Several()


def test_options_of_nothing_have_no_others() -> None:
    assert other_options(Options) == {}
