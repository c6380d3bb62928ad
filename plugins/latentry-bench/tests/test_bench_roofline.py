"""The roofline's formula, the peaks of a processor, how far pictures are apart, and which row wins."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from latentry_bench.candidates import Candidate
from latentry_bench.outcomes import joined
from latentry_bench.peaks import probe
from latentry_bench.pictures import Difference, difference
from latentry_bench.process import Outcome
from latentry_bench.roofline import Peak, Work, best, bound, share
from latentry_bench.rows import Row, spread, winner

PEAK = Peak(flops=100e9, bandwidth=10e9, where="cpu", dtype="float32")


def test_much_work_on_few_bytes_is_bound_by_the_rate_of_products() -> None:
    assert bound(Work(200e9, 1e9), PEAK) == 2.0


def test_little_work_on_many_bytes_is_bound_by_the_bandwidth() -> None:
    assert bound(Work(1e9, 50e9), PEAK) == 5.0


@pytest.mark.parametrize("intensity", [0.1, 1.0, 10.0, 100.0])
def test_the_bound_is_the_papers_attainable_rate(intensity: float) -> None:
    work = Work(3e9, 3e9 / intensity)
    assert work.flops / bound(work, PEAK) == pytest.approx(min(PEAK.flops, PEAK.bandwidth * intensity))


def test_the_share_is_the_bound_over_the_time() -> None:
    assert share(Work(200e9, 1e9), PEAK, 8.0) == 0.25


def test_of_several_probes_the_best_rates_count() -> None:
    assert best([PEAK, Peak(90e9, 12e9, "cpu", "float32")]) == Peak(100e9, 12e9, "cpu", "float32")


def test_a_row_has_the_share_of_its_median_step() -> None:
    row = Row(
        Candidate("cpu", "float32"),
        "measured",
        step=spread([4.0, 8.0, 16.0]),
        work=Work(200e9, 1e9),
        peak=PEAK,
    )
    assert (row.bound, row.share) == (2.0, 0.25)
    assert replace(row, step=None).share is None
    assert replace(row, work=None).bound is None


def test_the_probe_does_not_claim_more_than_a_product_does() -> None:
    """A product timed here, larger than the caches, is no faster than the peak but for noise."""
    from time import perf_counter

    found = probe("cpu", "float32")
    left = torch.ones(512, 512)
    times = []
    for _ in range(5):
        began = perf_counter()
        left @ left
        times.append(perf_counter() - began)
    assert 2 * 512**3 / min(times) < 3 * found.flops
    assert 1e8 < found.bandwidth < 1e13
    assert (found.where, found.dtype) == ("cpu", "float32")


def picture(values: np.ndarray, kind: str = "PNG") -> bytes:
    data = io.BytesIO()
    Image.fromarray(values).save(data, kind)
    return data.getvalue()


def test_pictures_are_compared_by_their_values() -> None:
    grey = np.full((4, 5, 3), 100, np.uint8)
    spot = grey.copy()
    spot[1, 2, 0] = 90
    assert difference(picture(grey), picture(grey)) == Difference(0, 0.0)
    assert difference(picture(spot), picture(grey)) == Difference(10, pytest.approx(10 / 60))
    assert difference(picture(grey[:2]), picture(grey)).word == "no"


@pytest.mark.parametrize(
    ("largest", "mean", "word"),
    [(0, 0.0, "yes"), (3, 2.9, "yes"), (4, 4.0, "close"), (4, 4.1, "no"), (255, 60.0, "no")],
)
def test_a_word_says_whether_it_is_the_same_picture(largest: int, mean: float, word: str) -> None:
    assert Difference(largest, mean).word == word


def row(device: str, seconds: float, *, apart: int = 0, approximate: bool = False) -> Row:
    way = Candidate(device, "float32", approximate=approximate)
    return Row(way, "measured", picture=spread([seconds]), difference=Difference(apart, float(apart)))


def test_the_fastest_of_the_same_picture_wins() -> None:
    rows = [row("a", 3.0), row("b", 2.0), row("black", 1.0, apart=200), row("c", 0.5, approximate=True)]
    won = winner(rows, approximate=False)
    assert won is rows[1]


def test_another_picture_wins_only_if_it_says_so_and_may() -> None:
    rows = [row("a", 3.0), row("black", 1.0, apart=200), row("c", 2.0, apart=90, approximate=True)]
    assert winner(rows, approximate=True) is rows[2]


@pytest.mark.parametrize(("most", "won"), [(1.2, "unet=quick"), (1.5, "")], ids=["apart", "overlapping"])
def test_an_optimizer_wins_only_where_it_is_known_to_gain(most: float, won: str) -> None:
    same = Difference(0, 0.0)
    plain = Row(Candidate("a", "float32"), "measured", picture=spread([1.4, 1.5, 1.6]), difference=same)
    quick = replace(
        plain, candidate=Candidate("a", "float32", "unet=quick"), picture=spread([1.0, 1.1, most])
    )
    slower = replace(plain, candidate=Candidate("b", "float32"), picture=spread([1.3, 1.45, 1.5]))
    found = winner([plain, quick, slower], approximate=False)
    assert found is not None
    assert (found.candidate.device, found.candidate.optimizer) == ("a", won)


def test_a_second_trial_adds_its_times_and_nothing_else() -> None:
    first = Outcome(
        [{"kind": "first"}, {"kind": "measured", "pictures": [3.0], "steps": [1.0], "picture": "a"}]
    )
    again = Outcome([{"kind": "measured", "pictures": [2.0], "steps": [0.5], "picture": "b"}])
    assert joined(first, again).messages == [
        {"kind": "first"},
        {"kind": "measured", "pictures": [3.0, 2.0], "steps": [1.0, 0.5], "picture": "a"},
    ]
    assert joined(first, Outcome([], "ended with exit code 7")) == first


def test_what_was_not_measured_does_not_win() -> None:
    failed = Row(Candidate("a", "float32"), "failed", "it broke", picture=spread([1.0]))
    assert winner([failed, Row(Candidate("b", "float32"), "measured")], approximate=True) is None
