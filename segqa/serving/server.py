"""Run uvicorn on an open socket, with clean shutdown and timeouts for slow clients."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from segqa.errors import SettingsError
from segqa.serving.app import make_app
from segqa.serving.limits import Limits
from segqa.serving.model_info import ModelInfo
from segqa.serving.queue import ModelThread


class Server(uvicorn.Server):
    """A uvicorn server that reports when it listens.

    Args:
        config: configuration of uvicorn.
        ready: called without arguments as soon as it listens.
    """

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen and call `ready`."""
        await super().startup(sockets)
        self._ready()


def make_server(
    model_info: ModelInfo,
    thread: ModelThread,
    *,
    token: str = "",
    hosts: Collection[str] = (),
    ready: Callable[[], None] = lambda: None,
) -> Server:
    """Make a server; `run_server` runs it, `should_exit = True` stops it.

    Args:
        model_info: describes the model.
        thread: calls the model.
        token: the token that requests must send; empty to require none.
        hosts: host names, beside `localhost`, that are allowed without a token.
        ready: called as soon as the server listens.
    """
    limits = model_info.limits
    config = uvicorn.Config(
        lambda: make_app(model_info, thread, token, hosts),
        factory=True,
        http=_make_protocol(limits),
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=limits.connections,
        # requests in progress are finished
        timeout_graceful_shutdown=round(limits.body_seconds + limits.predict_seconds),
    )
    return Server(config, ready)


def run_server(sock: socket.socket, server: Server) -> None:
    """Answer requests until `should_exit` is set or SIGINT or SIGTERM arrives.

    Requests in progress are finished. The function then returns and does not end the process, so that the caller can
    clean up the model.
    """
    with _ignore_repeated_signals():
        server.run(sockets=[sock])


def bind(host: str, port: int) -> socket.socket:
    """Bind a socket, so that a port in use is reported before a model is built.

    Raises:
        SettingsError: the address cannot be bound.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind, protocol)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except (OSError, OverflowError) as error:
        raise SettingsError(f"cannot listen on {host}:{port}: {error}; choose another --host or --port") from error
    return sock


@contextmanager
def _ignore_repeated_signals() -> Iterator[None]:
    """Ignore repeated signals: uvicorn raises the signals that stopped it once more when it ends."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {each: signal.signal(each, lambda *_: None) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _make_protocol(limits: Limits) -> type[H11Protocol]:
    """Make an HTTP/1.1 protocol that closes connections whose client is slow to send headers or read the answer."""

    class Patient(H11Protocol):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.loop.call_later(limits.header_seconds, self._hang_up, None)

        def _hang_up(self, before: Any) -> None:
            """Close the connection unless a request has begun since the last check or is being answered."""
            if self.transport.is_closing():
                return
            cycle: Any = self.cycle
            if cycle is before and (cycle is None or cycle.response_complete):
                self.transport.close()
            else:
                self.loop.call_later(limits.header_seconds, self._hang_up, self.cycle)

        def pause_writing(self) -> None:
            super().pause_writing()
            self._abort_unless_read(0)

        def _abort_unless_read(self, before: int) -> None:
            """Abort unless the client has read something since the last check, or has read enough."""
            left = self.transport.get_write_buffer_size()
            if left and self.flow.write_paused:
                if left == before:
                    self.transport.abort()
                else:
                    self.loop.call_later(limits.body_seconds, self._abort_unless_read, left)

    return Patient
