"""Progress, interrupt, skip and settings: each caller's own."""

import base64
import threading
import time

import pytest

from latentry_sdk.service import Caller

ASKED = {"prompt": "a red apple", "steps": 10, "width": 64, "height": 64, "seed": 7}


@pytest.fixture
def client(steered_client):
    """These tests are about when, not about pictures."""
    return steered_client


@pytest.fixture
def service(steered_service):
    return steered_service


class Background(threading.Thread):
    """A call of one caller that goes on beside the test."""

    def __init__(self, client, who="", **fields):
        super().__init__(daemon=True)
        self._client, self._who, self._fields = client, who, {**ASKED, **fields}
        self.answer = None
        self.start()

    def run(self):
        headers = {"who": self._who}
        self.answer = self._client.post("/sdapi/v1/txt2img", json=self._fields, headers=headers)

    def ended(self):
        self.join(60)
        assert self.answer is not None, "the call did not end"
        assert self.answer.status_code == 200, self.answer.text
        return self.answer.json()


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def progress(client, who="", **query):
    answer = client.get("/sdapi/v1/progress", headers={"who": who}, params=query)
    assert answer.status_code == 200
    return answer.json()


def test_without_a_call_there_is_no_progress(client):
    idle = progress(client)
    assert (idle["progress"], idle["eta_relative"], idle["current_image"]) == (0.0, 0.0, None)
    assert (idle["state"]["job_count"], idle["state"]["job"]) == (0, "")


def test_progress_grows_and_shows_a_picture_to_the_caller_alone(client, steered):
    call = Background(client, "ann", n_iter=2)
    until(lambda: steered.at == 1)
    steered.go(4)
    until(lambda: steered.at == 5)
    until(lambda: progress(client, "ann")["state"]["sampling_step"] == 4)
    now = progress(client, "ann")
    assert now["progress"] == pytest.approx(0.2)
    assert now["eta_relative"] > 0
    state = now["state"]
    assert (state["job"], state["job_count"], state["job_no"]) == ("txt2img", 2, 0)
    assert (state["sampling_step"], state["sampling_steps"]) == (4, 10)
    assert base64.b64decode(now["current_image"]) == b"a small picture"
    assert progress(client, "ann", skip_current_image=True)["current_image"] is None
    assert progress(client, "bob")["state"]["job_count"] == 0
    steered.go(6)
    until(lambda: progress(client, "ann")["state"]["job_no"] == 1)
    steered.go(10)
    assert len(call.ended()["images"]) == 2
    assert progress(client, "ann")["progress"] == 0


def test_an_interrupt_ends_the_callers_own_call_and_no_other(client, service, steered):
    mine = Background(client, "ann")
    until(lambda: steered.at)
    other = Background(client, "bob")
    until(lambda: "2" in service.known and progress(client, "bob")["state"]["job_count"] == 1)
    assert client.post("/sdapi/v1/interrupt", headers={"who": "eve"}).json() == {}
    assert client.post("/sdapi/v1/interrupt", headers={"who": "bob"}).json() == {}
    assert other.ended()["images"] == []
    assert service.known["1"].status == "running"
    third = Background(client, "bob")
    until(lambda: "3" in service.known)
    assert client.post("/sdapi/v1/interrupt", headers={"who": "ann"}).json() == {}
    assert mine.ended()["images"] == []
    steered.go(10)
    assert len(third.ended()["images"]) == 1


def test_an_interrupt_ends_what_runs_and_leaves_what_waits(client, service, steered):
    running = Background(client)
    until(lambda: steered.at)
    waiting = Background(client)
    until(lambda: "2" in service.known)
    client.post("/sdapi/v1/interrupt")
    assert running.ended()["images"] == []
    steered.go(10)
    assert len(waiting.ended()["images"]) == 1


def test_an_interrupt_gives_the_iterations_that_are_done(client, service, steered):
    call = Background(client, n_iter=100)
    steered.go(20)
    until(lambda: service.known.get("3") and service.known["3"].status == "running")
    client.post("/sdapi/v1/interrupt")
    assert len(call.ended()["images"]) == 2
    assert len(service.known) == 3


def test_a_skip_ends_one_iteration(client, service, steered):
    call = Background(client, n_iter=2)
    until(lambda: steered.at)
    assert client.post("/sdapi/v1/skip").json() == {}
    until(lambda: service.known["1"].status == "cancelled")
    steered.go(10)
    assert len(call.ended()["images"]) == 1
    assert [job.status for job in service.known.values()] == ["cancelled", "done"]


def test_an_interrupt_while_a_job_is_on_its_way_ends_it(client, service):
    submit, arrived, go = service.submit, threading.Event(), threading.Event()

    def slowly(wish, caller):
        arrived.set()
        assert go.wait(60)
        return submit(wish, caller)

    service.submit = slowly
    call = Background(client)
    assert arrived.wait(60)
    client.post("/sdapi/v1/interrupt")
    go.set()
    assert call.ended()["images"] == []
    assert [job.status for job in service.known.values()] == ["cancelled"]


def test_an_interrupt_while_an_iteration_waits_for_a_place_gives_what_is_done(client, service, steered):
    service.refusals = 1_000_000
    call = Background(client, n_iter=2)
    steered.go(10)
    until(lambda: service.refusals < 1_000_000)
    client.post("/sdapi/v1/interrupt")
    assert len(call.ended()["images"]) == 1
    assert len(service.known) == 1


def test_a_job_that_is_cancelled_by_another_way_ends_the_call(client, service, steered):
    call = Background(client, n_iter=3)
    until(lambda: steered.at)
    service.cancel("1", Caller())
    assert call.ended()["images"] == []
    assert len(service.known) == 1


def test_a_chosen_model_is_the_callers_own(client, service, steered):
    steered.go(100)

    def model(who):
        return client.get("/sdapi/v1/options", headers={"who": who}).json()["sd_model_checkpoint"]

    options = client.get("/sdapi/v1/options", headers={"who": "ann"}).json()
    other = next(
        one["title"] for one in client.get("/sdapi/v1/sd-models").json() if one["title"] != model("ann")
    )
    before = model("bob")
    answer = client.post(
        "/sdapi/v1/options", json={**options, "sd_model_checkpoint": other}, headers={"who": "ann"}
    )
    assert (answer.status_code, answer.json()) == (200, {})
    assert (model("ann"), model("bob")) == (other, before)
    answer = client.post("/sdapi/v1/options", json={"sd_model_checkpoint": "emoji"}, headers={"who": "ann"})
    client.post("/sdapi/v1/txt2img", json=ASKED, headers={"who": "ann"})
    assert service.wishes[-1].request["model"] == "emoji"
    client.post("/sdapi/v1/txt2img", json=ASKED, headers={"who": "bob"})
    assert "model" not in service.wishes[-1].request


def test_settings_that_cannot_be_so_change_nothing(client):
    before = client.get("/sdapi/v1/options").json()
    for settings in ({"sd_model_checkpoint": "no such"}, {"sd_vae": "x"}, {"unheard_of": 1}):
        answer = client.post("/sdapi/v1/options", json={"CLIP_stop_at_last_layers": 2, **settings})
        assert answer.status_code == 422
    assert client.get("/sdapi/v1/options").json() == before


@pytest.mark.parametrize("restore", [True, False])
def test_settings_of_a_call_stay_where_they_are_not_to_be_restored(client, steered, restore):
    steered.go(100)
    asked = {
        **ASKED,
        "override_settings": {"CLIP_stop_at_last_layers": 2},
        "override_settings_restore_afterwards": restore,
    }
    client.post("/sdapi/v1/txt2img", json=asked)
    after = client.get("/sdapi/v1/options").json()["CLIP_stop_at_last_layers"]
    assert after == (1 if restore else 2)


@pytest.mark.parametrize("path", ["txt2img", "img2img", "interrupt", "skip", "options"])
def test_a_reader_may_look_and_change_nothing(client, path):
    headers = {"who": "reader"}
    assert client.get("/sdapi/v1/progress", headers=headers).status_code == 200
    answer = client.post(f"/sdapi/v1/{path}", json={}, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (403, "NotAllowed")


def test_a_call_that_could_not_see_its_jobs_is_refused_before_it_has_any(client, service):
    answer = client.post("/sdapi/v1/txt2img", json=ASKED, headers={"who": "writer"})
    assert answer.status_code == 403
    assert service.known == {}
