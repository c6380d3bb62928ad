"""Lists of jobs, of what is installed, and the numbers for Prometheus."""

from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from latentry_sdk import Host

JOB = {"task": "toy", "prompt": "a cross", "steps": 2, "seed": 3}


@pytest.fixture(scope="module")
def made(client: httpx.Client) -> list[str]:
    """The ids of seven jobs that are done, the newest first."""
    ids = [client.post("/api/v1/jobs", json=JOB, params={"wait": 20}).json()["id"] for _ in range(7)]
    return ids[::-1]


def pages(client: httpx.Client, limit: int) -> Iterator[list[str]]:
    """The ids of the jobs that are done, page by page."""
    cursor = None
    while True:
        query = {"limit": limit, "status": "done"} | ({"cursor": cursor} if cursor else {})
        page = client.get("/api/v1/jobs", params=query).json()
        yield [job["id"] for job in page["jobs"]]
        if (cursor := page["next"]) is None:
            return


@pytest.mark.parametrize("limit", [1, 3, 7, 200])
def test_pages_hold_each_job_once_the_newest_first(client: httpx.Client, made: list[str], limit: int) -> None:
    found = list(pages(client, limit))
    assert [job for page in found for job in page] == made
    assert all(len(page) <= limit for page in found)


def test_jobs_are_listed_by_status(client: httpx.Client, made: list[str]) -> None:
    assert client.get("/api/v1/jobs", params={"status": ["queued", "running"]}).json()["jobs"] == []
    assert len(client.get("/api/v1/jobs", params={"status": ["queued", "done"]}).json()["jobs"]) == len(made)


@pytest.mark.parametrize("query", [{"status": "ended"}, {"limit": 0}, {"limit": 201}, {"cursor": "x" * 65}])
def test_a_question_that_makes_no_sense_is_refused(client: httpx.Client, query: dict[str, object]) -> None:
    answer = client.get("/api/v1/jobs", params=query)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:latentry:error:invalid_request")


def test_what_is_installed_is_listed_with_its_owner(client: httpx.Client, toy: Host) -> None:
    for kind in ("tasks", "samplers", "schedulers", "devices"):
        rows = client.get(f"/api/v1/{kind}").json()
        table = getattr(toy.registry, kind)
        assert {row["name"]: row["plugin"] for row in rows} == dict(table.owners)
    (task,) = client.get("/api/v1/tasks").json()
    assert (task["formats"], task["options"]) == (["pgm"], ["contrast"])
    assert [row["name"] for row in client.get("/api/v1/models").json()] == ["toy"]
    plugins = {row["name"]: row["status"] for row in client.get("/api/v1/plugins").json()}
    assert set(plugins.values()) == {"active"}


def test_no_list_says_where_things_lie_on_the_disk(client: httpx.Client) -> None:
    for kind in ("tasks", "samplers", "schedulers", "models", "devices", "plugins"):
        assert "/src/" not in client.get(f"/api/v1/{kind}").text


def test_prometheus_reads_the_numbers(client: httpx.Client, made: list[str]) -> None:
    answer = client.get("/api/v1/metrics")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    jobs = {sample.labels["status"]: sample.value for sample in families["latentry_jobs"].samples}
    assert jobs["done"] == len(made)
    assert jobs["queued"] == jobs["running"] == 0
    counted = [one for one in families["latentry_request_seconds"].samples if one.name.endswith("_count")]
    posted = [
        one.value for one in counted if one.labels["method"] == "POST" and one.labels["status"] == "200"
    ]
    assert posted == [len(made)]


def test_numbers_do_not_grow_with_what_clients_make_up(client: httpx.Client) -> None:
    for number in range(50):
        client.get(f"/nowhere/{number}")
        client.get(f"/api/v1/jobs/{number}")
    text = client.get("/api/v1/metrics").text
    assert len(text.splitlines()) < 500
    assert "nowhere" not in text
