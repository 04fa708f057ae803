"""The server: uvicorn on a socket of ours, which stops when it is told to and lets nobody dawdle."""

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
    """uvicorn, which says when it listens.

    Args:
        config: of uvicorn.
        ready: is called with no argument.
    """

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
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
    """A server that is not running yet: `run_server` runs it, `should_exit = True` stops it.

    Args:
        model_info: describes the model.
        thread: asks it.
        token: what a request has to know; empty where anybody may ask.
        hosts: names beside `localhost` by which a server without a token may be asked.
        ready: is called as soon as requests are answered.
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
        # what has been taken on is answered
        timeout_graceful_shutdown=round(limits.body_seconds + limits.predict_seconds),
    )
    return Server(config, ready)


def run_server(sock: socket.socket, server: Server) -> None:
    """Answer requests until the server is told to stop, or the process is by SIGINT or SIGTERM.

    Requests that have been taken on are answered still. Then this returns, and does not end the process: there may be
    a model to clean up after.
    """
    with _ignore_repeated_signals():
        server.run(sockets=[sock])


def bind(host: str, port: int) -> socket.socket:
    """A socket to listen on, so that a taken port is known before a model is built.

    Raises:
        SettingsError: it cannot be had.
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
    """Ignore signals that come again: uvicorn, which handles them until it has stopped, raises them once more then."""
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
    """HTTP/1.1 that closes connections whose client does not finish its headers, or does not read its answer."""

    class Patient(H11Protocol):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.loop.call_later(limits.header_seconds, self._hang_up, None)

        def _hang_up(self, before: Any) -> None:
            """Unless a request has begun since the last look, or is being answered."""
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
            """Abort unless the client has read something since the last look, or has read enough."""
            left = self.transport.get_write_buffer_size()
            if left and self.flow.write_paused:
                if left == before:
                    self.transport.abort()
                else:
                    self.loop.call_later(limits.body_seconds, self._abort_unless_read, left)

    return Patient
