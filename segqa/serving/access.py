"""Access: which requests are answered.

With a token, those that know it; `/health` is open. Without one, those that are addressed to this machine: a page in a
browser can have its own name point to 127.0.0.1 (DNS rebinding), and the name it uses then stands in `Host`.
"""

from __future__ import annotations

import hmac
import ipaddress
import os
from collections.abc import Collection
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.responses import JSONResponse

from segqa.errors import SettingsError
from segqa.serving.errors import RequestError

_OPEN = ("/health",)

Headers = list[tuple[bytes, bytes]]


class AccessMiddleware:
    """An ASGI application that answers only requests that may ask.

    Args:
        app: the application.
        token: what has to stand after `Bearer`; empty where none is needed.
        hosts: names beside `localhost` and IP addresses that `Host` and `Origin` may have where there is no token.
    """

    def __init__(self, app: Any, token: str, hosts: Collection[str] = ()) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode() if token else b""
        self._hosts = frozenset(name.lower().rstrip(".") for name in ("localhost", *hosts))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer, or refuse before a byte of the body is read."""
        error = self._check(scope["path"], scope["headers"]) if scope["type"] == "http" else None
        if error is not None:
            await JSONResponse(error.to_json(), error.status, error.headers)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check(self, path: str, headers: Headers) -> RequestError | None:
        """Return why a request is refused; None where it is not."""
        if not self._expected:
            return self._check_names(dict(headers))
        given = b"".join(value for name, value in headers if name == b"authorization")
        # in the same time whatever is given: how far a guess is right must not show
        return None if path in _OPEN or hmac.compare_digest(given, self._expected) else _make_token_error()

    def _check_names(self, headers: dict[bytes, bytes]) -> RequestError | None:
        """Refuse a request to a name that is not ours, and one that a page from elsewhere makes."""
        host, origin = (headers.get(name, b"").decode("latin-1") for name in (b"host", b"origin"))
        to, page = _parse_host(f"//{host}"), _parse_host(origin)
        # nobody can have an IP address point elsewhere; HTTP/1.0, which no browser speaks, may have no Host
        if b"host" in headers and to not in self._hosts and _parse_address(to) is None:
            return _make_host_error(f"Host: {host[:100]!r}")
        address = _parse_address(page)
        if b"origin" in headers and page not in {to, *self._hosts} and not (address and address.is_loopback):
            return _make_host_error(f"Origin: {origin[:100]!r}")
        return None


def _parse_host(url: str) -> str:
    """Return the host of a URL; empty where it has none."""
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""


def _parse_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the IP address that a host is; None where it is a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def read_token(variable: str, file: Path | None) -> str:
    """The token in an environment variable or a file; empty where neither is named.

    Raises:
        SettingsError: what is named has no token in it, or both are named.
    """
    if variable and file:
        raise SettingsError("give the token in a variable or in a file, not in both")
    if not variable and not file:
        return ""
    try:
        token = file.read_text(encoding="utf-8") if file else os.environ.get(variable, "")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read the token in {file}: {error}") from error
    if not token.strip().isascii() or not token.strip():
        raise SettingsError(f"expected a token of ASCII characters in {file or '$' + variable}, found none")
    return token.strip()


def _make_token_error() -> RequestError:
    return RequestError(
        HTTPStatus.UNAUTHORIZED,
        expected="the head Authorization: Bearer TOKEN with the token of this server",
        got="none, or another one",
        do="ask whoever runs the server for the token",
        headers={"WWW-Authenticate": "Bearer"},
    )


def _make_host_error(got: str) -> RequestError:
    return RequestError(
        HTTPStatus.MISDIRECTED_REQUEST,
        expected="localhost, an IP address or a name of --allow-host, since there is no token",
        got=got,
        do="start the server with --allow-host NAME, or with a token",
    )
