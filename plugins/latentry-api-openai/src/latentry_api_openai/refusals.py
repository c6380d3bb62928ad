"""What the server refuses before this surface sees it, in OpenAI's words."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

TYPES = {
    HTTPStatus.UNAUTHORIZED: "authentication_error",
    HTTPStatus.FORBIDDEN: "permission_error",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_error",
}
CODES = {HTTPStatus.UNAUTHORIZED: "invalid_api_key", HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_exceeded"}


def refusal(problem: Mapping[str, Any]) -> Mapping[str, Any]:
    """A problem document, RFC 9457, as `{"error": {message, type, param, code}}`."""
    status = HTTPStatus(problem["status"])
    kind = "invalid_request_error" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "server_error"
    said = "; ".join(filter(None, (problem["detail"], problem.get("fix"))))
    code = CODES.get(status, problem["type"].rpartition(":")[2])
    return {"error": {"message": said, "type": TYPES.get(status, kind), "param": None, "code": code}}
