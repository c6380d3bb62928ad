"""The OpenAPI document, made from what the plugins gave: their names as choices, their options as schemas."""

from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from latentry_api.problems import Problem
from latentry_api.wishes import BlobInput, JobOptions, UrlInput
from latentry_sdk import Host, Options, Request

REF = "#/components/schemas/{model}"
PATH = "/api/v1/jobs"
Schema = dict[str, Any]
LIMITS = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}


def install(app: FastAPI, host: Host) -> None:
    """Have the app's document say what this host takes."""

    def document() -> Schema:
        if app.openapi_schema is None:
            app.openapi_schema = described(app, host)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def described(app: FastAPI, host: Host) -> Schema:
    """The document of the app's routes, with the job's request as the host takes it."""
    document: Schema = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    schemas: Schema = document.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = Problem.model_json_schema(ref_template=REF)
    schemas["JobRequest"] = job_request(host, schemas)
    content = {"application/json": {"schema": {"$ref": REF.format(model="JobRequest")}}}
    document["paths"][PATH]["post"]["requestBody"] = {"required": True, "content": content}
    bytes_ = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    document["paths"]["/api/v1/blobs"]["post"]["requestBody"] = {"required": True, "content": bytes_}
    return document


def job_request(host: Host, schemas: Schema) -> Schema:
    """The schema of a job; what it refers to is added to `schemas`."""
    registry = host.registry
    schema = _model(Request, "Request", schemas)
    own = _model(JobOptions, "JobOptions", schemas)
    properties: Schema = schema["properties"] | own["properties"]
    for name, table in (
        ("task", registry.tasks),
        ("sampler", registry.samplers),
        ("scheduler", registry.schedulers),
    ):
        properties[name] = _choice(properties[name], [*table, *table.aliases], nullable=name != "task")
    names = [entry.name for entry in host.models()]
    properties["model"] = _choice(properties["model"], names, nullable=True)
    properties["inputs"] = _inputs(host, schemas)
    properties["options"] = _options(host, schemas)
    return {**schema, "title": "JobRequest", "properties": properties}


def _inputs(host: Host, schemas: Schema) -> Schema:
    """Each input that a task takes: base64, a data: URL, the digest of what was sent before, or a URL."""
    kinds = {kind.__name__: _model(kind, kind.__name__, schemas) for kind in (BlobInput, UrlInput)}
    schemas.update(kinds)
    refs = [{"$ref": REF.format(model=name)} for name in kinds]
    given = {"anyOf": [{"type": "string", "contentEncoding": "base64"}, *refs]}
    inputs = {one.name: one.description for task in host.registry.tasks.values() for one in task.inputs}
    properties = {name: {**given, "description": text} for name, text in inputs.items()}
    return {"type": "object", "properties": properties, "additionalProperties": False, "default": {}}


def _options(host: Host, schemas: Schema) -> Schema:
    """The options of everything that declares some, by the name of what they belong to."""
    properties: Schema = {}
    for name, kind in _declared(host):
        component = f"Options-{name}"
        schemas[component] = _model(kind, component, schemas)
        properties[name] = {"$ref": REF.format(model=component)}
    return {"type": "object", "properties": properties, "additionalProperties": False, "default": {}}


def _declared(host: Host) -> Iterable[tuple[str, type[Options]]]:
    registry = host.registry
    tables: tuple[Mapping[str, Any], ...] = (
        registry.tasks,
        registry.stages,
        registry.samplers,
        registry.schedulers,
        registry.devices,
    )
    return [
        (name, spec.options) for table in tables for name, spec in table.items() if spec.options.model_fields
    ]


def _model(kind: type[Options], name: str, schemas: Schema) -> Schema:
    """The schema of a model; those that it refers to are added under names that begin with its own."""
    schema: Schema = _standard(kind.model_json_schema(ref_template=REF.format(model=f"{name}-{{model}}")))
    for inner, definition in schema.pop("$defs", {}).items():
        schemas[f"{name}-{inner}"] = definition
    return schema


def _standard(schema: Any) -> Any:
    """The schema with limits by JSON Schema's names: pydantic's own stay where a validator is in between."""
    if isinstance(schema, list):
        return [_standard(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    names = LIMITS if schema.get("type") in ("number", "integer") else {}
    return {names.get(key, key): _standard(value) for key, value in schema.items()}


def _choice(schema: Schema, names: Iterable[str], *, nullable: bool) -> Schema:
    about: Schema = {key: schema[key] for key in ("description", "default", "title") if key in schema}
    choice = {"type": "string", "enum": sorted(set(names))}
    return {"anyOf": [choice, {"type": "null"}], **about} if nullable else {**choice, **about}
