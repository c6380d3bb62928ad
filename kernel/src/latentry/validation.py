"""Turn what pydantic found wrong into one line for the person who wrote it."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from latentry.errors import InvalidRequest, shown

M = TypeVar("M", bound=BaseModel)


def parsed(kind: type[M], values: Mapping[str, Any], *, where: str = "") -> M:
    """`values` as a `kind`; `InvalidRequest` in one line that says where, what, and what is legal."""
    try:
        return kind.model_validate(dict(values))
    except ValidationError as exc:
        raise InvalidRequest(f"{where}{explained(exc, kind)}") from exc


def explained(exc: ValidationError, kind: type[BaseModel]) -> str:
    """The first things wrong, at most three, each with its field and value."""
    problems = exc.errors(include_url=False, include_context=False)
    lines = [_one(problem, kind) for problem in problems[:3]]
    return "; ".join(lines) + (f" and {len(problems) - 3} more" if len(problems) > 3 else "")


def _one(problem: Mapping[str, Any], kind: type[BaseModel]) -> str:
    place = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = ", ".join(sorted(kind.model_fields)) or "it has none"
        return f"unknown option {shown(place)}; known: {known}"
    message = problem["msg"].removeprefix("Value error, ")
    return f"{place[:80]}: {message} (got {shown(problem['input'])})"
