"""What host and worker tell each other about a job, as plain values and back."""

from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from latentry_sdk import Artifact, Event, Plan, Request, Result, parsed
from latentry_workers.classes import known, name_of
from latentry_workers.inputs import input_values, inputs_of

Values = Mapping[str, Any]


def request_values(plan: Plan) -> Values:
    """What the request says, with its seed drawn and its inputs in it; `InvalidInput` for an odd input."""
    fields = plan.request.model_dump(mode="json", exclude={"inputs"}, exclude_unset=True)
    return {**fields, "seed": plan.seeds[0], "inputs": input_values(plan.request.inputs)}


def request_of(values: Values, place: Mapping[str, str]) -> Request:
    """The request again; `place` is for the components that it does not place itself."""
    placed = {**place, **values.get("place", {})}
    changed = {"inputs": inputs_of(values["inputs"])} | ({"place": placed} if placed else {})
    return parsed(Request, {**values, **changed})


def event_values(event: Event) -> Values:
    """The event's class and fields."""
    return {"class": name_of(type(event)), "fields": asdict(event)}


def event_of(values: Values) -> Event | None:
    """The event again; None where its class is not imported here."""
    try:
        reader = _reader(values["class"])
    except KeyError:
        return None
    return reader.validate_python(values["fields"])


def result_values(result: Result) -> Values:
    """The result's files and its account."""
    return asdict(result)


def result_of(values: Values) -> Result:
    """The result again."""
    artifacts = tuple(Artifact(**artifact) for artifact in values["artifacts"])
    return Result(artifacts, values["applied"], values["timings"], tuple(values["warnings"]))


@cache
def _reader(name: str) -> TypeAdapter[Event]:
    return TypeAdapter(known(Event)[name])
