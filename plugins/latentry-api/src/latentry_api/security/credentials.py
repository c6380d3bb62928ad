"""Say who asks: by a bearer token, or by the password of HTTP Basic, which A1111 clients send."""

import base64
import binascii
from collections.abc import Collection

from latentry_api.security.asgi import App, Receive, Scope, Send, address, header, is_request
from latentry_api.security.limiting import Rates
from latentry_api.security.options import SecurityOptions
from latentry_api.security.refusing import NotAuthenticated, Refused, refuse
from latentry_api.security.tokens import TokenFile
from latentry_sdk.service import Caller

OPEN_PATHS = frozenset({"/api/v1/health/live", "/api/v1/health/ready"})
"""Asked by those who watch over the server, without a token."""

CALLER = "latentry.caller"
CHALLENGE = 'Bearer realm="latentry", Basic realm="latentry", charset="UTF-8"'


class Credentials:
    """Puts the `Caller` into the scope. Without a token file everybody may do everything."""

    def __init__(
        self, app: App, options: SecurityOptions, rates: Rates, *, open_paths: Collection[str] = OPEN_PATHS
    ) -> None:
        self._app, self._rates, self._open = app, rates, frozenset(open_paths)
        self._tokens = TokenFile(options.token_file) if options.token_file else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse who is unknown with 401, and who fails too often with 429."""
        if is_request(scope):
            try:
                scope[CALLER] = await self._caller(scope)
            except Refused as exc:
                return await refuse(exc, scope, receive, send)
        return await self._app(scope, receive, send)

    async def _caller(self, scope: Scope) -> Caller:
        if self._tokens is None:
            return Caller()
        token = shown_token(header(scope, b"authorization") or "")
        caller = self._tokens.caller(token) if token else None
        if caller is None and scope["path"] not in self._open:
            await self._rates.failed(address(scope))
            raise NotAuthenticated(
                "a token is needed" if token is None else "this token is not known",
                fix="send the header Authorization: Bearer TOKEN",
                headers={"www-authenticate": CHALLENGE},
            )
        return caller or Caller(scopes=frozenset())


def shown_token(authorization: str) -> str | None:
    """The token of an Authorization header: a bearer's, or the password of HTTP Basic."""
    scheme, _, value = authorization.strip().partition(" ")
    if scheme.lower() == "bearer":
        return value.strip() or None
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(value.strip(), validate=True).decode().partition(":")[2] or None
    except (binascii.Error, UnicodeDecodeError):
        return None
