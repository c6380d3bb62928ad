"""What Prometheus is told: jobs by status, requests and their seconds."""

from collections.abc import Iterator
from time import perf_counter
from typing import Any

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily

from latentry_sdk.queue import Queue

BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0)


class JobCounts:
    """Jobs by status, asked of the queue when Prometheus asks."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """One gauge."""
        gauge = GaugeMetricFamily("latentry_jobs", "Jobs that are kept", labels=["status"])
        for status, count in self._queue.counts().items():
            gauge.add_metric([status], count)
        yield gauge


class Metrics:
    """The numbers of one server."""

    def __init__(self, queue: Queue) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(JobCounts(queue))
        self._requests = Histogram(
            "latentry_request_seconds",
            "Seconds until a request was answered",
            ["method", "route", "status"],
            buckets=BUCKETS,
            registry=self._registry,
        )

    def text(self) -> bytes:
        """All numbers in Prometheus' format."""
        return generate_latest(self._registry)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(method, route, str(status)).observe(seconds)


class Measured:
    """An ASGI app whose requests are counted, by the pattern of their route."""

    def __init__(self, app: Any, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass the request on, and count it when its answer begins."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()

        async def counted(message: Any) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "(none)")
                method = scope["method"] if route != "(none)" else "(any)"
                self._metrics.answered(method, route, message["status"], perf_counter() - began)
            await send(message)

        await self._app(scope, receive, counted)
