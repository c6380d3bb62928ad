"""Jobs over HTTP, on a started app with the toy."""

import hashlib
import json

import httpx
import pytest

from latentry_sdk import Host, Request

BYTES = {"Content-Type": "application/octet-stream"}
JOB = {"task": "toy", "prompt": "a cross", "steps": 5, "seed": 3}


def test_a_job_is_queued_and_done(client: httpx.Client) -> None:
    sent = client.post("/api/v1/jobs", json=JOB)
    assert sent.status_code == 202
    assert sent.json()["status"] == "queued"
    assert sent.headers["location"] == f"/api/v1/jobs/{sent.json()['id']}"
    job = client.get(sent.headers["location"], params={"wait": 10}).json()
    assert (job["status"], job["progress"], job["seed"], job["error"]) == ("done", 1.0, 3, None)
    assert job["applied"]["sampler"] == "toy_euler"


def test_its_artifact_is_what_a_host_gives(client: httpx.Client, toy: Host) -> None:
    (artifact,) = client.post("/api/v1/jobs", json=JOB, params={"wait": 10}).json()["artifacts"]
    file = client.get(artifact["url"])
    (made,) = toy.run(Request.model_validate(JOB)).artifacts
    assert file.content == made.data
    assert artifact["sha256"] == hashlib.sha256(file.content).hexdigest()
    assert file.headers["content-type"] == artifact["media_type"] == made.media_type
    assert file.headers["x-content-type-options"] == "nosniff"
    assert client.get(artifact["url"], headers={"Range": "bytes=0-3"}).content == made.data[:4]
    assert client.get(artifact["url"], headers={"If-None-Match": file.headers["etag"]}).status_code == 304


def test_events_are_told_again_from_where_a_client_was(client: httpx.Client) -> None:
    job = client.post("/api/v1/jobs", json=JOB, params={"wait": 10}).json()
    lines = client.get(f"/api/v1/jobs/{job['id']}/events").text.splitlines()
    kinds = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    assert kinds[0] == "queued"
    assert {"started", "image"} <= set(kinds)
    assert kinds[-1] == "done"
    later = client.get(f"/api/v1/jobs/{job['id']}/events", headers={"Last-Event-ID": "2"}).text
    numbers = [json.loads(line[6:])["number"] for line in later.splitlines() if line.startswith("data: ")]
    assert numbers == [*range(3, 3 + len(numbers))]


def test_a_key_gives_the_first_job_again_and_refuses_another_request(client: httpx.Client) -> None:
    fields, headers = {"task": "toy", "prompt": "a ring"}, {"Idempotency-Key": "one"}
    first = client.post("/api/v1/jobs", json=fields, headers=headers).json()
    second = client.post("/api/v1/jobs", json=fields, headers=headers).json()
    assert (first["id"], first["seed"]) == (second["id"], second["seed"])
    other = client.post("/api/v1/jobs", json={**fields, "steps": 7}, headers=headers)
    assert (other.status_code, other.json()["type"]) == (409, "urn:latentry:error:key_reused")


def test_a_job_that_is_as_it_was_is_not_sent_again(client: httpx.Client) -> None:
    job = client.post("/api/v1/jobs", json=JOB, params={"wait": 10}).json()
    read = client.get(f"/api/v1/jobs/{job['id']}")
    same = client.get(f"/api/v1/jobs/{job['id']}", headers={"If-None-Match": read.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")


def test_a_blob_has_the_digest_of_its_bytes(client: httpx.Client) -> None:
    sent = client.post("/api/v1/blobs", content=b"some bytes", headers=BYTES)
    assert sent.status_code == 201
    assert sent.json() == {"blob": hashlib.sha256(b"some bytes").hexdigest(), "size": 10}


def test_an_unknown_name_is_refused_with_the_legal_ones(client: httpx.Client) -> None:
    answer = client.post("/api/v1/jobs", json={**JOB, "sampler": "none"})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:latentry:error:unknown_name"
    assert answer.json()["legal"] == ["toy_ancestral", "toy_euler"]


def test_an_option_out_of_range_names_the_plugin(client: httpx.Client) -> None:
    answer = client.post("/api/v1/jobs", json={**JOB, "options": {"toy": {"contrast": 2}}})
    assert answer.status_code == 422
    assert (answer.json()["field"], answer.json()["plugin"]) == ("contrast", "latentry_toy")


def test_an_unknown_option_is_refused_with_the_legal_ones(client: httpx.Client) -> None:
    answer = client.post("/api/v1/jobs", json={**JOB, "options": {"toy": {"contrasts": 1}}})
    assert (answer.status_code, answer.json()["legal"]) == (422, ["contrast"])
    assert answer.json()["plugin"] == "latentry_toy"


@pytest.mark.parametrize("model", ["/etc/passwd", "../model", "C:\\model", "\\\\host\\model", "m\0", "toy/"])
def test_a_model_is_named_and_no_path_is_followed(client: httpx.Client, model: str) -> None:
    answer = client.post("/api/v1/jobs", json={**JOB, "model": model})
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:latentry:error:unknown_name")
    assert answer.json()["legal"] == ["toy"]
