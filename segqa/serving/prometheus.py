"""Count requests and export the metrics to Prometheus."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

PATHS = ("/predict", "/health", "/model", "/metrics", "/openapi.json", "/docs")
"""Paths with their own label; all others share `other`, so that random paths cannot fill the memory."""

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class PrometheusMetrics:
    """Count requests and measure their duration.

    Args:
        waiting: returns the number of requests that wait for the model.
        in_flight: returns the number of requests being decoded, predicted or rendered.
    """

    def __init__(self, waiting: Callable[[], int], in_flight: Callable[[], int]) -> None:
        # not the global registry, which lives as long as the process
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
        """Count a request."""
        known = path if path in PATHS else "other"
        self._requests.labels(known, str(status)).inc()
        self._seconds.labels(known).observe(seconds)

    def render(self) -> bytes:
        """Return the text of `/metrics`."""
        return bytes(generate_latest(self._registry))


class CountingMiddleware:
    """ASGI middleware that counts requests.

    Args:
        app: the application.
        exposition: counts.
    """

    def __init__(self, app: Any, metrics: PrometheusMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Call the application and count the request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500  # the status if the application sends none

        async def send_and_note(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        finally:
            self._metrics.count(scope["path"], status, time.perf_counter() - started)
