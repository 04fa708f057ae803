"""Errors of requests and their JSON: what was expected, what came, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from http import HTTPStatus
from types import MappingProxyType

from segqa.errors import SegqaError


@dataclass(frozen=True, slots=True)
class ErrorDetail:
    """The JSON body of every 4xx and 5xx response.

    Attributes:
        error: the status in words.
        expected: what the server expected.
        got: what it got.
        do: what to do about it.
    """

    error: str
    expected: str
    got: str
    do: str


class RequestError(SegqaError):
    """A request that gets an error response.

    Args:
        status: HTTP status.
        expected: what the server expected.
        got: what it got; must not reveal internals of the server, such as paths.
        do: what to do about it.
        headers: headers of the response.
    """

    def __init__(
        self,
        status: HTTPStatus,
        expected: str,
        got: str,
        do: str,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(f"{status.phrase}: expected {expected}, got {got}; {do}")
        self.status = status
        self.headers = dict(headers)
        self.detail = ErrorDetail(status.phrase.lower(), expected, got, do)

    def to_json(self) -> dict[str, str]:
        """Return the body of the response."""
        return asdict(self.detail)
