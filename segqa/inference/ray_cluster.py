"""Connect to a Ray cluster, or start Ray on this machine for as long as it is needed."""

from __future__ import annotations

import logging
import math
import os
import signal
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from segqa.errors import EngineError
from segqa.settings import RaySettings

_QUIET: Mapping[str, str] = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
"""Ray reports to its makers and warns on stderr, unless the user has set these otherwise."""

_STORE_BYTES = 256 * 10**6
"""For what is on its way between processes: by default Ray would take a third of the memory."""


@contextmanager
def connect(settings: RaySettings) -> Iterator[None]:
    """Be connected to a cluster that has room for the actors; what was not there before is gone afterwards.

    Raises:
        EngineError: there is no cluster at the address, or too little of it.
    """
    with ExitStack() as stack:
        stack.enter_context(_silence_warnings())
        stack.enter_context(_environment())
        import ray
        import ray.data

        stack.enter_context(_silence_logs())
        if not ray.is_initialized():
            stack.enter_context(_own_signals())
            _connect(settings)
            stack.callback(ray.shutdown)
        _require_room(settings, ray.cluster_resources())
        yield


def _connect(settings: RaySettings) -> None:
    """Join the cluster at the address, or start one here."""
    import ray

    address = settings.address or os.environ.get("RAY_ADDRESS")
    # what it counts as a CPU is for those who share it; one stays for Ray's own work, which else could never begin
    started = {"num_cpus": _cpus(settings), "include_dashboard": False, "object_store_memory": _STORE_BYTES}
    how: dict[str, Any] = {"address": address} if address and address != "local" else started
    try:
        ray.init(**how, log_to_driver=False, logging_level=logging.CRITICAL)
    except (ConnectionError, RuntimeError, ValueError) as error:
        where = f"no Ray cluster answers at {address}" if address else "Ray does not start"
        raise EngineError(f"{where}: {error}; see [tool.segqa.ray] address, and RAY_ADDRESS") from error


def _cpus(settings: RaySettings) -> int:
    """How many CPUs a cluster needs."""
    return math.ceil(settings.actors * settings.cpus_per_actor) + 1


def _require_room(settings: RaySettings, has: Mapping[str, float]) -> None:
    """Refuse a cluster on which the actors, and beside them Ray Data, would wait for each other without a word."""
    needed = {"CPU": _cpus(settings), "GPU": settings.actors * settings.gpus_per_actor}
    for what, least in needed.items():
        if has.get(what, 0) < least:
            raise EngineError(
                f"{settings.actors} actors with {settings.cpus_per_actor:g} CPUs and {settings.gpus_per_actor:g} GPUs "
                f"each need {least:g} {what}s (one CPU is left for the rest), and Ray has {has.get(what, 0):g}: "
                "fewer actors in [tool.segqa.ray], or more machines"
            )


@contextmanager
def _environment() -> Iterator[None]:
    """The variables that Ray reads when it starts."""
    added = {name: value for name, value in _QUIET.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


@contextmanager
def _silence_warnings() -> Iterator[None]:
    """No warnings of Ray's: with `error` among the user's filters they would end the evaluation."""
    with warnings.catch_warnings():
        for category in (DeprecationWarning, FutureWarning, ResourceWarning, UserWarning):
            warnings.filterwarnings("ignore", category=category, module=r"ray(\.|$)")
            warnings.filterwarnings("ignore", category=category, module=r"segqa\.evaluation\.(engine|connection)$")
        # Ray Data opens its log again where a thread writes to it while another one closes it
        warnings.filterwarnings("ignore", "unclosed file .*ray-data", ResourceWarning)
        yield


@contextmanager
def _silence_logs() -> Iterator[None]:
    """Nothing of Ray's on the terminal; its files have it."""
    loggers = [logging.getLogger(name) for name in ("ray", "ray.data")]
    handlers = [handler for logger in loggers for handler in logger.handlers if not hasattr(handler, "baseFilename")]
    before = [(handler, handler.level) for handler in handlers]
    for handler in handlers:
        handler.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for handler, level in before:
            handler.setLevel(level)


@contextmanager
def _own_signals() -> Iterator[None]:
    """Give SIGTERM back to whoever had it: Ray takes it for itself."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
