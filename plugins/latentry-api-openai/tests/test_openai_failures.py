"""Errors: what the official client makes of them, and how often it asks."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import openai
import pytest

from latentry_api_openai.refusals import refusal
from latentry_sdk import InvalidRequest, LatentryError, Unavailable, UnknownName
from latentry_sdk.queue import QueueFull
from latentry_sdk.service import Caller, Draining, NoRoom

if TYPE_CHECKING:
    from conftest import Jobs, Started


def failed(started: "Started", **more: Any) -> openai.APIStatusError:
    """The exception that a generation ends with."""
    with pytest.raises(openai.APIStatusError) as caught:
        started.client().images.generate(prompt="a cat", **more)
    return caught.value


@pytest.mark.parametrize(
    ("refusal", "kind", "status", "code"),
    [
        (InvalidRequest("width 7 is no multiple of 8"), openai.BadRequestError, 400, "invalid_value"),
        (UnknownName("sampler", "none", ["euler"]), openai.BadRequestError, 400, "invalid_value"),
        (Unavailable("there is no device", fix="install one"), openai.BadRequestError, 400, "invalid_value"),
        (LatentryError("the disk is full"), openai.InternalServerError, 500, "internal_error"),
        (OSError("a secret path"), openai.InternalServerError, 500, "internal_error"),
    ],
    ids=str,
)
def test_a_refusal_is_asked_for_once(
    started: "Started", refusal: Exception, kind: type[openai.APIStatusError], status: int, code: str
) -> None:
    started.jobs.refusal = refusal
    asked = counted(started.jobs)
    error = failed(started)
    assert (type(error), error.status_code, error.code) == (kind, status, code)
    assert "secret" not in error.message
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        ({"type": "invalid_input", "message": "the mask is none", "fix": None}, 400, "invalid_request_error"),
        ({"type": "out_of_memory", "message": "8 GB wanted", "fix": "ask for less"}, 500, "server_error"),
        ({"type": "attempts_exhausted", "message": "it died"}, 500, "server_error"),
        ({"type": "internal_error", "message": "ZeroDivisionError", "fix": None}, 500, "server_error"),
        ({"type": "timed_out", "message": "too slow", "fix": None}, 500, "server_error"),
    ],
    ids=lambda value: value["type"] if isinstance(value, Mapping) else str(value),
)
def test_a_job_that_fails_is_run_once(
    started: "Started", error: Mapping[str, Any], status: int, kind: str
) -> None:
    started.jobs.error = error
    caught = failed(started)
    assert (caught.status_code, caught.type, caught.code) == (status, kind, error["type"])
    assert error["message"] in caught.message
    assert (error.get("fix") or "") in caught.message
    assert len(started.jobs.wishes) == 1


def test_an_unknown_model_is_not_found(started: "Started") -> None:
    for model in ("dall-e-3", "../emoji", "/etc/passwd", "C:\\x", "emoji\0"):
        error = failed(started, model=model)
        assert (type(error), error.param, error.code) == (openai.NotFoundError, "model", "model_not_found")
        assert "emoji" in error.message
    with pytest.raises(openai.NotFoundError):
        started.client().models.retrieve("none")


def test_a_full_queue_is_asked_again_when_it_says(started: "Started", monkeypatch: Any) -> None:
    slept: list[float] = []
    monkeypatch.setattr("openai._base_client.time.sleep", slept.append)
    started.jobs.refusal = QueueFull("the queue is full", 2.2)
    asked = counted(started.jobs)
    error = failed(started)
    assert (type(error), error.code) == (openai.RateLimitError, "rate_limit_exceeded")
    assert len(asked) == 3
    assert slept == [3.0, 3.0]


def test_a_server_that_stops_may_be_asked_again(started: "Started") -> None:
    started.jobs.refusal = Draining("the server is about to stop")
    answer = started.post("/images/generations", json={"prompt": "a cat"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    assert "x-should-retry" not in answer.headers


def test_a_full_disk_is_not_asked_again(started: "Started") -> None:
    started.jobs.refusal = NoRoom("the server's disk is nearly full")
    asked = counted(started.jobs)
    error = failed(started)
    assert (type(error), error.code) == (openai.InternalServerError, "no_room")
    assert len(asked) == 1


def test_a_caller_without_the_scope_is_refused(started: "Started") -> None:
    started.caller = Caller("one", frozenset({"read"}))
    assert type(failed(started)) is openai.PermissionDeniedError
    started.caller = Caller("one", frozenset({"generate"}))
    assert type(failed(started)) is openai.PermissionDeniedError
    assert started.jobs.wishes == []
    with pytest.raises(openai.PermissionDeniedError):
        started.client().models.list()


def test_a_client_that_leaves_cancels_its_job(started: "Started") -> None:
    started.jobs.held = True
    with pytest.raises(openai.APITimeoutError):
        started.client(timeout=0.3, max_retries=0).images.generate(prompt="a cat")
    assert until_ended(started.jobs) == "cancelled"


def test_a_job_that_another_cancels_is_an_error(started: "Started") -> None:
    started.jobs.error = {"type": "cancelled"}
    error = failed(started)
    assert (type(error), error.code) == (openai.ConflictError, "cancelled")
    assert len(started.jobs.wishes) == 1


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (401, "authentication_error", "invalid_api_key"),
        (403, "permission_error", "some_thing"),
        (413, "invalid_request_error", "some_thing"),
        (429, "rate_limit_error", "rate_limit_exceeded"),
        (503, "server_error", "some_thing"),
    ],
)
def test_what_the_server_refuses_is_told_in_the_clients_words(status: int, kind: str, code: str) -> None:
    problem = {
        "type": "urn:latentry:error:some_thing",
        "title": "some thing",
        "status": status,
        "detail": "no",
    }
    said = {"message": "no; wait", "type": kind, "param": None, "code": code}
    assert refusal({**problem, "fix": "wait"}) == {"error": said}
    assert refusal(problem) == {"error": {**said, "message": "no"}}


def counted(jobs: "Jobs") -> list[None]:
    """One entry for each submission from now on."""
    asked, submit = list[None](), jobs.submit

    def counting(*arguments: Any) -> Any:
        asked.append(None)
        return submit(*arguments)

    jobs.submit = counting  # type: ignore[method-assign]
    return asked


def until_ended(jobs: "Jobs") -> str:
    """The only job's status when it is no longer running, or after two seconds."""
    import time

    end = time.monotonic() + 2
    while jobs.kept["0"].status == "running" and time.monotonic() < end:
        time.sleep(0.01)
    return jobs.kept["0"].status
