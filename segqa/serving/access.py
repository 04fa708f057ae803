"""Access: who may ask. A token, where there is one, stands in the head of every request but those for `/health`."""

from __future__ import annotations

import hmac
import os
from http import HTTPStatus
from pathlib import Path
from typing import Any

from starlette.responses import JSONResponse

from segqa.errors import SettingsError
from segqa.serving.refusal import RefusedError

_OPEN = ("/health",)


class Guarded:
    """An ASGI application that answers those alone who know the token.

    Args:
        app: the application.
        token: what has to stand after `Bearer`; empty where anybody may ask.
    """

    def __init__(self, app: Any, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode() if token else b""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer, or refuse before a byte of the body is read."""
        if scope["type"] == "http" and scope["path"] not in _OPEN and not self._admits(scope["headers"]):
            error = _unknown()
            await JSONResponse(error.as_json(), error.status, error.headers)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _admits(self, headers: list[tuple[bytes, bytes]]) -> bool:
        given = b"".join(value for name, value in headers if name == b"authorization")
        # in the same time whatever is given: how far a guess is right must not show
        return not self._expected or hmac.compare_digest(given, self._expected)


def find_token(variable: str, file: Path | None) -> str:
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


def _unknown() -> RefusedError:
    return RefusedError(
        HTTPStatus.UNAUTHORIZED,
        expected="the head Authorization: Bearer TOKEN with the token of this server",
        got="none, or another one",
        do="ask whoever runs the server for the token",
        headers={"WWW-Authenticate": "Bearer"},
    )
