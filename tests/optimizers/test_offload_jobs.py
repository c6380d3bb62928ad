"""Jobs with offloading give the pictures that they give without it, where they would not fit otherwise."""

from itertools import pairwise
from typing import Any

import pytest

from latentry_sdk import OutOfMemory

WAYS = (
    ("model-offload", {}),
    ("group-offload", {"ahead": 0}),
    ("group-offload", {"ahead": 1, "keep": 500_000}),
    ("sequential-offload", {}),
    ("disk-offload", {"keep": 200_000}),
)


@pytest.mark.parametrize(("name", "options"), WAYS, ids=[f"{name} {given}" for name, given in WAYS])
def test_the_picture_is_the_same_to_the_bit_where_it_would_not_fit_otherwise(
    run: Any, plain: Any, *, name: str, options: Any
) -> None:
    given = {name: options} if options else {}
    offloaded = run(name, options=given)
    assert offloaded.pixels == plain.pixels
    assert offloaded.peak < plain.peak * 0.9
    limit = (offloaded.peak + plain.peak) // 2
    with pytest.raises(OutOfMemory):
        run(size=limit)
    assert run(name, size=limit, options=given).pixels == plain.pixels


def test_what_may_stay_is_what_more_memory_is_used_for(run: Any) -> None:
    peaks = [
        run("unet=group-offload", options={"group-offload": {"keep": keep, "ahead": 0}}).peak
        for keep in (0, 1_000_000, 2_000_000)
    ]
    steps = [after - before for before, after in pairwise(peaks)]
    assert all(800_000 < step <= 1_050_000 for step in steps), peaks


def test_half_precision_is_offloaded_as_half(run: Any) -> None:
    plain, offloaded = run(dtype="float16"), run("group-offload", dtype="float16")
    assert offloaded.pixels == plain.pixels
    assert offloaded.peak < plain.peak
    assert set(offloaded.applied["dtypes"].values()) == {"float16"}
