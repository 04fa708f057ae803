"""Control access to the server by a token, or by host names.

With a token, requests must send it; `/health` is open. Without a token, requests must address this machine by a known
name: a web page can make its own name point to 127.0.0.1 (DNS rebinding), and the `Host` header shows that name.
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
    """ASGI middleware that rejects requests without access.

    Args:
        app: the application.
        token: the expected bearer token; empty to require none.
        hosts: host names that `Host` and `Origin` may have without a token, beside `localhost` and IP addresses.
    """

    def __init__(self, app: Any, token: str, hosts: Collection[str] = ()) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode() if token else b""
        self._hosts = frozenset(name.lower().rstrip(".") for name in ("localhost", *hosts))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Call the application, or reject the request before reading its body."""
        error = self._check(scope["path"], scope["headers"]) if scope["type"] == "http" else None
        if error is not None:
            await JSONResponse(error.to_json(), error.status, error.headers)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check(self, path: str, headers: Headers) -> RequestError | None:
        """Return the error of a request without access, else None."""
        if not self._expected:
            return self._check_names(dict(headers))
        given = b"".join(value for name, value in headers if name == b"authorization")
        # constant time: the timing must not show how much of a guess is right
        return None if path in _OPEN or hmac.compare_digest(given, self._expected) else _make_token_error()

    def _check_names(self, headers: dict[bytes, bytes]) -> RequestError | None:
        """Return the error of a request to an unknown host name or from a page of another origin, else None."""
        host, origin = (headers.get(name, b"").decode("latin-1") for name in (b"host", b"origin"))
        to, page = _parse_host(f"//{host}"), _parse_host(origin)
        # IP addresses cannot be rebound; HTTP/1.0, which browsers do not use, may lack Host
        if b"host" in headers and to not in self._hosts and _parse_address(to) is None:
            return _make_host_error(f"Host: {host[:100]!r}")
        address = _parse_address(page)
        if b"origin" in headers and page not in {to, *self._hosts} and not (address and address.is_loopback):
            return _make_host_error(f"Origin: {origin[:100]!r}")
        return None


def _parse_host(url: str) -> str:
    """Return the host of a URL, or an empty string."""
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""


def _parse_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the IP address of a host; None if it is a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def read_token(variable: str, file: Path | None) -> str:
    """Read the token from an environment variable or a file; return an empty string if neither is given.

    Raises:
        SettingsError: there is no token in it, it cannot be read, or both are given.
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
