"""A refusal is an answer other than the one asked for: what was expected, what came, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from http import HTTPStatus
from types import MappingProxyType

from segqa.errors import SegqaError


@dataclass(frozen=True, slots=True)
class ErrorDetail:
    """What the JSON of every answer of 4xx and 5xx says.

    Attributes:
        error: the status in words.
        expected: what would have been answered.
        got: what came.
        do: what to do about it.
    """

    error: str
    expected: str
    got: str
    do: str


class RequestError(SegqaError):
    """A request is not answered.

    Args:
        status: of HTTP.
        expected: what would have been answered.
        got: what came; nothing of the server's own, such as a path.
        do: what to do about it.
        headers: of the answer.
    """

    def __init__(
        self,
        status: HTTPStatus,
        *,
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
        """The body of the answer."""
        return asdict(self.detail)
