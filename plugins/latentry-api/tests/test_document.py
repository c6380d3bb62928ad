"""The OpenAPI document follows what is installed, and what the server answers follows the document."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from jsonschema_rs import validator_for

import latentry_store_sql
import latentry_toy
from latentry_api.app import create_app
from latentry_api.opening import opened
from latentry_api.settings import ServeOptions
from latentry_sdk import Field, Host, Number, Options, StageSpec, State, hookimpl


class GlowOptions(Options):
    """Options of a plugin that the server has never heard of."""

    glow: Number = Field(0.5, ge=0, le=2, description="How much it glows")


def glow(state: State) -> State:
    return state


@hookimpl
def register_stages() -> Sequence[StageSpec]:
    return [StageSpec("glow", glow, options=GlowOptions)]


def document_of(plugins: Sequence[Any], data: Path) -> dict[str, Any]:
    with Host(plugins) as host, opened(host, ServeOptions(data=data, executor="inline")) as service:
        return create_app(service).openapi()


def test_installing_a_plugin_adds_its_options(tmp_path: Path) -> None:
    plain = [latentry_toy, latentry_store_sql]
    before = document_of(plain, tmp_path / "one")
    after = document_of([*plain, SimpleNamespace(register_stages=register_stages)], tmp_path / "two")
    options = [
        found["components"]["schemas"]["JobRequest"]["properties"]["options"]["properties"]
        for found in (before, after)
    ]
    assert options[1].keys() - options[0].keys() == {"glow"}
    described = after["components"]["schemas"]["Options-glow"]["properties"]["glow"]
    assert described == {
        "default": 0.5,
        "description": "How much it glows",
        "maximum": 2,
        "minimum": 0,
        "title": "Glow",
        "type": "number",
    }


def test_names_are_choices(client: httpx.Client) -> None:
    properties = client.get("/openapi.json").json()["components"]["schemas"]["JobRequest"]["properties"]
    assert properties["task"]["enum"] == ["toy"]
    assert properties["sampler"]["anyOf"][0]["enum"] == ["toy_ancestral", "toy_euler"]
    assert properties["scheduler"]["anyOf"][0]["enum"] == ["toy_even"]


@pytest.mark.parametrize(
    ("job", "good"),
    [
        ({"task": "toy", "prompt": "a cross"}, True),
        ({"task": "toy", "prompt": "a cross", "options": {"toy": {"contrast": 0.5}}}, True),
        ({"task": "toy", "sampler": "toy_ancestral", "options": {"toy_ancestral": {"eta": 0}}}, True),
        ({"prompt": "a cross"}, False),
        ({"task": "toys"}, False),
        ({"task": "toy", "options": {"toy": {"contrast": 1.5}}}, False),
        ({"task": "toy", "options": {"toy": {"contrasts": 1}}}, False),
        ({"task": "toy", "options": {"other": {}}}, False),
        ({"task": "toy", "steps": 0}, False),
        ({"task": "toy", "more": 1}, False),
        ({"task": "toy", "priority": 101}, False),
        ({"task": "toy", "timeouts": {"run": 0}}, False),
    ],
)
def test_the_document_and_the_server_agree_about_a_job(
    client: httpx.Client, job: dict[str, Any], good: bool
) -> None:
    document = client.get("/openapi.json").json()
    wanted = {"$ref": "#/components/schemas/JobRequest", "components": document["components"]}
    assert validator_for(wanted).is_valid(job) is good
    assert client.post("/api/v1/jobs", json=job).status_code == (202 if good else 422)
