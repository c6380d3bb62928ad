"""Bodies that no job is made of: each is refused quickly, and the next job is done."""

import json
import time
from typing import Any

import httpx
import pytest

JOB = {"task": "toy", "prompt": "a cross", "steps": 2, "seed": 3}
PLAIN = json.dumps(JOB)[:-1]
BODIES = {
    "no JSON": b"{",
    "empty": b"",
    "a list": b"[]",
    "a text": b'"task"',
    "null": b"null",
    "NaN": f'{PLAIN}, "guidance": NaN}}'.encode(),
    "Infinity": f'{PLAIN}, "guidance": Infinity}}'.encode(),
    "a number past all floats": f'{PLAIN}, "guidance": 1e999}}'.encode(),
    "a huge number": f'{PLAIN}, "guidance": 1e308}}'.encode(),
    "a number of 5,000 digits": f'{PLAIN}, "steps": {"9" * 5000}}}'.encode(),
    "half a surrogate pair": b'{"task": "toy", "prompt": "\\ud800"}',
    "bytes that are no UTF-8": b'{"task": "toy", "prompt": "\xff"}',
    "UTF-16": PLAIN.encode("utf-16"),
    "a prompt of 1 MB": json.dumps({**JOB, "prompt": "x" * 1_000_000}).encode(),
    "a name of 1 MB": json.dumps({**JOB, "sampler": "x" * 1_000_000}).encode(),
    "100,000 brackets": b"[" * 100_000,
    "10,000 pictures": json.dumps({**JOB, "inputs": {f"{i}": "AAAA" for i in range(10_000)}}).encode(),
    "a list of 10,000 pictures": json.dumps({**JOB, "inputs": ["AAAA"] * 10_000}).encode(),
    "10,000 unknown fields": json.dumps({**JOB, **{f"{i}": 1 for i in range(10_000)}}).encode(),
}
FIELDS: dict[str, Any] = {
    "true for a number": {"steps": True},
    "a fraction for a count": {"steps": 2.5},
    "no steps": {"steps": 0},
    "a million steps": {"steps": 10**6},
    "a negative guidance": {"guidance": -100},
    "a seed of 2^64": {"seed": 2**64},
    "a seed of -2": {"seed": -2},
    "no width": {"width": 0},
    "a width of 7": {"width": 7},
    "a width of a million": {"width": 10**6},
    "too much work": {"steps": 1000, "batch": 64, "width": 1024, "height": 1024},
    "a batch of 65": {"batch": 65},
    "null as task": {"task": None},
    "a list as task": {"task": ["toy"]},
    "an object as prompt": {"prompt": {}},
    "options as a list": {"options": []},
    "options of no owner": {"options": {"nobody": {"x": 1}}},
    "options that are no object": {"options": {"toy": 5}},
    "a priority of 10^9": {"priority": 10**9},
    "a time-out of 0": {"timeouts": {"run": 0}},
    "a time-out that is a text": {"timeouts": {"run": "soon"}},
    "an unknown time-out": {"timeouts": {"ever": 1}},
    "null as inputs": {"inputs": None},
    "an input that the task has not": {"inputs": {"image": "AAAA"}},
    "a format that is none": {"format": "html"},
    "a name with NUL": {"scheduler": "toy\0even"},
    "a name that looks alike": {"sampler": "tоy_euler"},
}


def refused(client: httpx.Client, body: bytes) -> None:
    began = time.monotonic()
    answer = client.post("/api/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    seconds = time.monotonic() - began
    assert answer.status_code in (400, 413, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"].startswith("urn:latentry:error:")
    assert len(answer.content) < 8000
    assert seconds < 5
    good = client.post("/api/v1/jobs", json=JOB, params={"wait": 20})
    assert good.json()["status"] == "done"


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_a_body_that_is_no_job_is_refused(client: httpx.Client, body: bytes) -> None:
    refused(client, body)


@pytest.mark.parametrize("fields", FIELDS.values(), ids=FIELDS.keys())
def test_a_field_with_a_wrong_value_is_refused(client: httpx.Client, fields: dict[str, Any]) -> None:
    refused(client, json.dumps({**JOB, **fields}).encode())


@pytest.mark.parametrize("text", ["a\r\nb", "a cross\0", "\u202e cross", "a cross" + "(" * 50_000])
def test_a_prompt_of_odd_characters_makes_a_job_that_ends(client: httpx.Client, text: str) -> None:
    answer = client.post("/api/v1/jobs", json={**JOB, "prompt": text}, params={"wait": 20})
    assert answer.json()["status"] in ("done", "failed")
    assert client.get(f"/api/v1/jobs/{answer.json()['id']}").json()["request"]["prompt"] == text


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/octet-stream", ""]
)
def test_a_job_is_json(client: httpx.Client, kind: str) -> None:
    answer = client.post("/api/v1/jobs", content=json.dumps(JOB), headers={"Content-Type": kind})
    assert answer.status_code == 415


@pytest.mark.parametrize(
    "path",
    [
        "jobs/x",
        "jobs/..%2f..%2fetc",
        "jobs/%00",
        "jobs/" + "f" * 4000,
        "artifacts/x-0",
        "artifacts/-",
        "artifacts/%ff",
    ],
)
def test_what_is_not_there_is_not_found(client: httpx.Client, path: str) -> None:
    assert client.get(f"/api/v1/{path}").status_code == 404


@pytest.mark.parametrize("key", ["", "x" * 256, "a b", "ü"])
def test_a_key_is_short_and_plain(client: httpx.Client, key: str) -> None:
    headers = {"Idempotency-Key": key.encode()}
    assert client.post("/api/v1/jobs", json=JOB, headers=headers).status_code == 422
