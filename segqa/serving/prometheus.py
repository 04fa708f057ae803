"""An exposition: what a server counts, as Prometheus reads it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

PATHS = ("/predict", "/health", "/model", "/metrics", "/openapi.json", "/docs")
"""What is counted under its own name; all else is `other`, or whoever asks for nonsense would fill the memory."""

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class PrometheusMetrics:
    """Counts requests and takes their time.

    Args:
        waiting: how many requests wait for the model.
        in_flight: how many it has, or what comes before and after it.
    """

    def __init__(self, waiting: Callable[[], int], in_flight: Callable[[], int]) -> None:
        # of its own: the library's global one lives as long as the process
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "segqa_requests", "Requests by path and status", ["path", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "segqa_request_seconds", "From head to answer", ["path"], buckets=_SECONDS, registry=self._registry
        )
        Gauge("segqa_queue_length", "Requests that wait", registry=self._registry).set_function(waiting)
        Gauge("segqa_in_flight", "Requests at the model", registry=self._registry).set_function(in_flight)
        ProcessCollector(registry=self._registry)

    def count(self, path: str, status: int, seconds: float) -> None:
        """One more request."""
        known = path if path in PATHS else "other"
        self._requests.labels(known, str(status)).inc()
        self._seconds.labels(known).observe(seconds)

    def render(self) -> bytes:
        """What `/metrics` answers."""
        return bytes(generate_latest(self._registry))


class CountingMiddleware:
    """An ASGI application whose requests are counted.

    Args:
        app: the application.
        exposition: counts.
    """

    def __init__(self, app: Any, metrics: PrometheusMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer, and count."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500  # what goes out where nothing has been said

        async def send_and_note(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        finally:
            self._metrics.count(scope["path"], status, time.perf_counter() - started)
