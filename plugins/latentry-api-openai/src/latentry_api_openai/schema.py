"""The shapes of bodies, for the server's OpenAPI document."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from latentry_api_openai.asking import Edit, Generation


class Picture(BaseModel):
    """A file as base64."""

    b64_json: str


class ImagesReply(BaseModel):
    """Pictures; `created` is in seconds since 1970."""

    created: int
    data: list[Picture]
    output_format: str
    quality: str
    size: str


class ModelReply(BaseModel):
    """A model."""

    id: str
    object: str
    created: int
    owned_by: str


class ModelsReply(BaseModel):
    """All models."""

    object: str
    data: list[ModelReply]


class ErrorReply(BaseModel):
    """What went wrong, by the names that OpenAI's clients know."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorsReply(BaseModel):
    """The body of every error."""

    error: ErrorReply


def generation_body() -> Mapping[str, Any]:
    """The body of a generation."""
    return {"application/json": {"schema": Generation.model_json_schema()}}


def edit_body() -> Mapping[str, Any]:
    """The form of an edit: its fields and its files."""
    file = {"type": "string", "format": "binary"}
    files = {
        "image": {**file, "description": "The picture to change: PNG, JPEG or WebP"},
        "mask": {**file, "description": "Transparent where to change; of the picture's size"},
    }
    fields = Edit.model_json_schema()
    schema = {
        **fields,
        "properties": {**fields["properties"], **files},
        "required": [*fields["required"], "image"],
    }
    return {"multipart/form-data": {"schema": schema}}
