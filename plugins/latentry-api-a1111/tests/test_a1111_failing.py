"""Errors: their status, their shape, and nothing of the request in them."""

import pytest

from latentry_api_a1111.failing import JobFailed, failure
from latentry_sdk import PluginError
from latentry_sdk.queue import Outcome, QueuedJob, QueueFull, Submission
from latentry_sdk.service import Draining, NoRoom, NotAllowed, UnknownJob

ASKED = {"prompt": "a secret", "steps": 2}


def ended(kind, message="it went wrong", fix=None):
    error = {"type": kind, "message": message, "fix": fix}
    return QueuedJob("1", Submission({}), "failed", 0.0, outcome=Outcome("failed", error=error))


@pytest.mark.parametrize(
    ("error", "status", "wait"),
    [
        (QueueFull("full", 7), 429, "7"),
        (QueueFull("full", 0.1), 429, "1"),
        (Draining("stopping"), 503, "30"),
        (NoRoom("the disk is nearly full"), 507, None),
        (NotAllowed("no"), 403, None),
        (UnknownJob("none"), 404, None),
        (PluginError("broken"), 500, None),
        (JobFailed(ended("invalid_input")), 422, None),
        (JobFailed(ended("out_of_memory")), 500, None),
        (JobFailed(ended("something_of_a_plugin")), 500, None),
        (JobFailed(ended("timed_out")), 504, None),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_each_error_has_its_status(error, status, wait):
    answer = failure(error)
    assert (answer.status_code, answer.headers.get("retry-after")) == (status, wait)


def test_a_failed_job_says_why_and_what_to_do(steered_client, steered_service):
    def fails(request, **_more):
        raise PluginError("the sampler broke", fix="choose another")

    steered_service._do = fails
    answer = steered_client.post("/sdapi/v1/txt2img", json=ASKED)
    assert answer.status_code == 500
    detail = "the sampler broke; choose another"
    assert answer.json() == {"error": "InternalError", "detail": detail, "body": "", "errors": detail}


def test_an_error_repeats_nothing_of_the_request_but_the_value_that_is_wrong(steered_client):
    answer = steered_client.post("/sdapi/v1/txt2img", json={**ASKED, "steps": "many"})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("steps: Input should be a valid integer")
    assert answer.json()["detail"].endswith("(got 'many')")
    assert "secret" not in answer.text
