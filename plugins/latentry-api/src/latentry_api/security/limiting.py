"""Limit what one caller may ask: by the minute and at one time, counted before anything is done."""

import math
import time
from collections import Counter
from typing import TYPE_CHECKING

from latentry_api.security.asgi import SAFE_METHODS, App, Receive, Scope, Send, address, is_request
from latentry_api.security.options import SecurityOptions
from latentry_api.security.refusing import Refused, TooManyRequests, refuse
from latentry_sdk.service import Caller

if TYPE_CHECKING:
    from limits import RateLimitItem


class Rates:
    """Requests by the minute, in sliding windows that are kept in memory."""

    def __init__(self, options: SecurityOptions) -> None:
        from limits import RateLimitItemPerMinute
        from limits.aio.storage import MemoryStorage
        from limits.aio.strategies import SlidingWindowCounterRateLimiter

        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._requests = RateLimitItemPerMinute(options.requests_per_minute, namespace="requests")
        self._changes = RateLimitItemPerMinute(options.changes_per_minute, namespace="changes")
        self._failures = RateLimitItemPerMinute(options.failures_per_minute, namespace="failures")

    async def asked(self, who: str, scope: Scope) -> None:
        """Count a request; raises `TooManyRequests`."""
        await self._count(self._requests, who, "requests")
        if scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS:
            await self._count(self._changes, who, "requests that change something")

    async def failed(self, where: str) -> None:
        """Count a wrong or missing token; raises `TooManyRequests`."""
        await self._count(self._failures, where, "wrong tokens")

    async def _count(self, limit: "RateLimitItem", who: str, what: str) -> None:
        if not await self._limiter.hit(limit, who):
            stats = await self._limiter.get_window_stats(limit, who)
            raise _too_many(f"{limit.amount} {what} a minute are taken", stats.reset_time - time.time())


class Limits:
    """Counts each request by its caller: by token, or by address where none is asked for."""

    def __init__(self, app: App, options: SecurityOptions, rates: Rates) -> None:
        self._app, self._rates = app, rates
        self._most = {"http": options.concurrent_requests, "websocket": options.concurrent_websockets}
        self._running: Counter[tuple[str, str]] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse with 429 whoever is over a limit."""
        if not is_request(scope):
            return await self._app(scope, receive, send)
        key = who(scope), scope["type"]
        self._running[key] += 1
        try:
            await self._admit(key, scope)
        except Refused as exc:
            await refuse(exc, scope, receive, send)
        else:
            await self._app(scope, receive, send)
        finally:
            self._running[key] -= 1
            if not self._running[key]:
                del self._running[key]

    async def _admit(self, key: tuple[str, str], scope: Scope) -> None:
        most = self._most[scope["type"]]
        if self._running[key] > most:
            raise _too_many(f"{most} requests at one time are taken", 0)
        await self._rates.asked(key[0], scope)


def who(scope: Scope) -> str:
    """The token's name, or the address of who shows none; the two cannot be equal."""
    caller: Caller = scope["latentry.caller"]
    return f"token {caller.name}" if caller.name else f"address {address(scope)}"


def _too_many(what: str, seconds: float) -> TooManyRequests:
    wait = max(0, math.floor(seconds)) + 1  # a window is over only after its last moment
    return TooManyRequests(what, fix=f"try again in {wait} s", headers={"retry-after": str(wait)})
