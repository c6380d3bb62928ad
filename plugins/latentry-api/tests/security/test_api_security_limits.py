"""Limits of one caller, counted before anything is done; the minute is a clock of the test's own."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from latentry_api.security.bucket import Bucket
from latentry_api.security.budget import check_plan, check_wish
from latentry_api.security.options import SecurityOptions
from latentry_api.security.tokens import add_token
from latentry_sdk import InvalidInput, InvalidRequest, Request, UserError
from latentry_sdk.service import Wish


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Stops the clock of dates at the beginning of a minute; called, it goes on by so many seconds."""
    now = [60.0 * 30_000_000]
    monkeypatch.setattr("time.time", lambda: now[0])

    def advance(seconds: float) -> None:
        now[0] += seconds

    return advance


def test_a_caller_who_asks_too_often_waits_and_may_then_ask_again(asking: Any, clock: Any) -> None:
    async def go() -> None:
        ask = asking(requests_per_minute=5)
        assert [(await ask()).status for _ in range(6)] == [200] * 5 + [429]
        refused = await ask()
        assert refused.type == "too_many_requests"
        wait = int(refused.headers["retry-after"])
        assert 1 <= wait <= 120
        clock(wait + 60)
        assert (await ask()).status == 200

    asyncio.run(go())


def test_the_wait_that_is_named_is_long_enough(asking: Any, clock: Any) -> None:
    async def go() -> None:
        ask = asking(requests_per_minute=5)
        draw = random.Random(7)
        for _ in range(200):
            found = await ask()
            if found.status == 429:
                clock(int(found.headers["retry-after"]))
                assert (await ask()).status == 200
            clock(draw.uniform(0, 20))

    asyncio.run(go())


def test_changes_have_a_limit_of_their_own(asking: Any, clock: Any) -> None:
    async def go() -> None:
        ask = asking(changes_per_minute=2)
        assert [(await ask("POST")).status for _ in range(3)] == [200, 200, 429]
        assert [(await ask("DELETE")).status, (await ask("GET")).status] == [429, 200]

    asyncio.run(go())


def test_one_caller_does_not_use_up_anothers_limit(asking: Any, clock: Any, tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    greedy, modest = (f"Bearer {add_token(file, name, ['read'])}" for name in ("greedy", "modest"))

    async def go() -> None:
        ask = asking(token_file=file, requests_per_minute=2)
        assert [(await ask(authorization=greedy)).status for _ in range(3)] == [200, 200, 429]
        assert (await ask(authorization=greedy, client="10.9.9.9")).status == 429
        assert (await ask(authorization=modest)).status == 200

    asyncio.run(go())


def test_without_tokens_the_address_is_the_caller(asking: Any, clock: Any) -> None:
    async def go() -> None:
        ask = asking(requests_per_minute=1)
        assert [(await ask(client="127.0.0.1")).status, (await ask(client="127.0.0.1")).status] == [200, 429]
        assert (await ask(client="::ffff:127.0.0.1")).status == 429
        assert (await ask(client="127.0.0.2")).status == 200

    asyncio.run(go())


def test_the_limit_comes_before_the_body(asking: Any, clock: Any) -> None:
    read: list[bytes] = []

    async def pieces() -> Any:
        read.append(b"{}")
        yield b"{}"

    async def go() -> None:
        ask = asking(changes_per_minute=1)
        await ask("POST")
        found = await ask("POST", content=b"not json" * 10, content_type="application/json")
        assert found.status == 429

    asyncio.run(go())


def test_requests_at_one_time_are_limited_and_given_back(asking: Any) -> None:
    async def go() -> None:
        ask = asking(concurrent_requests=2)
        found = await asyncio.gather(*(ask(path="/wait") for _ in range(5)))
        assert sorted(each.status for each in found) == [200, 200, 429, 429, 429]
        refused = next(each for each in found if each.status == 429)
        assert (refused.type, refused.headers["retry-after"]) == ("too_many_requests", "1")
        assert (await ask()).status == 200

    asyncio.run(go())


def test_an_application_that_fails_gives_its_place_back(asking: Any) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("a bug")

    async def go() -> None:
        ask = asking(broken, concurrent_requests=1)
        for _ in range(3):
            with pytest.raises(RuntimeError, match="a bug"):
                await ask()

    asyncio.run(go())


def test_a_bucket_holds_its_size_and_empties_at_its_rate() -> None:
    now = [0.0]
    bucket = Bucket(rate=2, size=4, clock=lambda: now[0])
    assert [bucket.take() for _ in range(5)] == [True] * 4 + [False]
    now[0] = 1.0
    assert [bucket.take(), bucket.take()] == [True, False]
    now[0] = 100.0
    assert bucket.take(4)


OPTIONS = SecurityOptions(megapixel_steps=21, body_megabytes=1)


@pytest.mark.parametrize(
    "fields",
    [
        {"width": 1024, "height": 1024, "steps": 20},
        {"width": 512, "height": 512, "steps": 80},
        {"width": 512, "height": 512, "steps": 20, "batch": 4},
    ],
)
def test_twenty_one_megapixel_steps_are_a_picture_of_1024_in_twenty_steps(fields: dict[str, Any]) -> None:
    check_wish(Wish({"task": "toy", **fields}, {}), OPTIONS)
    with pytest.raises(InvalidRequest, match="megapixel-steps"):
        check_wish(Wish({"task": "toy", **fields, "steps": fields["steps"] + 1}, {}), OPTIONS)


@pytest.mark.parametrize("size", [{}, {"width": 1024}, {"height": 1024}])
def test_work_of_no_known_size_is_counted_when_it_is_planned(size: dict[str, Any]) -> None:
    check_wish(Wish({"task": "toy", "steps": 1000, "batch": 64, **size}, {}), OPTIONS)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, -1, 2.5, "many", None, [], {}, 10**30])
@pytest.mark.parametrize("field", ["steps", "batch"])
def test_numbers_that_are_none_are_refused_in_one_line(field: str, value: Any) -> None:
    with pytest.raises(UserError) as refused:
        check_wish(Wish({"task": "toy", field: value}, {}), OPTIONS)
    assert "\n" not in str(refused.value)


def test_inputs_have_the_budget_of_a_body() -> None:
    half = bytes(500_000)
    check_wish(Wish({"task": "toy"}, {"image": half, "mask": half}), OPTIONS)
    with pytest.raises(InvalidInput, match="MB"):
        check_wish(Wish({"task": "toy"}, {"image": half, "mask": half + b"x"}), OPTIONS)


def test_a_plan_is_counted_with_the_plans_beside_it(host: Any) -> None:
    plan = host.plan(Request(task="toy", prompt="cross", steps=10, seed=1))
    work = 8 * 8 * 10 / 1e6
    check_plan(plan, SecurityOptions(megapixel_steps=work))
    twice = replace(plan, further={"refiner": plan, "none": None})
    with pytest.raises(InvalidRequest, match="megapixel-steps"):
        check_plan(twice, SecurityOptions(megapixel_steps=work * 1.99))
    check_plan(twice, SecurityOptions(megapixel_steps=work * 2))
