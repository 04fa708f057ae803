"""`http`: a model that answers over HTTP, be it `segqa serve` or any other API that a small table describes."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

import cv2
import numpy as np

from segqa.data.mask import Image
from segqa.errors import ModelError
from segqa.models.fingerprint import Fingerprint, fingerprint_of
from segqa.models.http_api import SERVE_ANSWER, SERVE_REQUEST, decode_image, parse_api
from segqa.models.protocol import Proposals

if TYPE_CHECKING:
    import httpx

_LATER = (429, 503)
_LONGEST_PAUSE = 30.0
_SHOWN = 200
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class HttpModel:
    """Asks a server; each image in a request of its own, sent without loss.

    Of `segqa serve` the model's fingerprint is that of what is served, and an answer by another model is an error.
    Another API has none unless it is stated: nobody else knows when its answers could change.

    Args:
        url: of the server.
        timeout: seconds for a connection, and between two parts of an answer.
        retries: how often a request is made again that found no connection, or a server that is busy (429, 503).
        backoff: seconds before the first of them; doubled before each further one, where the server does not say.
        parallel: requests at a time.
        token_env: the environment variable with the token of the server.
        request: how another API is asked, see `segqa.models.http_api.RequestForm`.
        response: where things stand in its answers, see `segqa.models.http_api.AnswerPlaces`.
        fingerprint: of another API; to be changed whenever its answers could.

    Raises:
        ModelError: the settings cannot be used, or there is no such server.
    """

    def __init__(
        self,
        *,
        url: str = "",
        timeout: float = 60.0,
        retries: int = 5,
        backoff: float = 0.5,
        parallel: int = 4,
        token_env: str = "",
        request: Mapping[str, Any] = _NOTHING,
        response: Mapping[str, Any] = _NOTHING,
        fingerprint: str = "",
    ) -> None:
        self._url = _check_url(url)
        self._retries, self._backoff, self._patience, self._parallel = retries, backoff, timeout, parallel
        self._form, self._places = (
            parse_api(request, response) if request or response else (SERVE_REQUEST, SERVE_ANSWER)
        )
        self._client = _build_client(timeout, token_env)
        try:
            name, self._served = ("", "") if request or response else self._request_identity()
        except ModelError:
            self._client.close()
            raise
        self.served = {"name": name, "fingerprint": str(self._served)} if name else {}
        self.fingerprint = self._identify(fingerprint or self._served)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
        """What the server offers for each image.

        Raises:
            ModelError: it does not answer, refuses, or answers something else.
        """
        with ThreadPoolExecutor(self._parallel) as pool:
            return list(pool.map(self._propose, images, prompts))

    def _propose(self, image: Image, prompt: str) -> Proposals:
        arguments = self._form.arguments(_encode_png(image), prompt)
        response = self._request("POST", self._form.path, **arguments)
        if response.headers.get("content-type", "").startswith("image/"):
            return Proposals.single(decode_image(response.content))
        answer = self._parse_json(response)
        self._require_same(answer)
        return self._places.proposals(answer, image)

    def _identify(self, answers: str) -> str | None:
        """Return the fingerprint that goes with what answers; computed only where the server says that its own is."""
        if not answers:
            return None
        found = fingerprint_of(type(self), options={"answers": answers, "form": str(self._form)})
        return found if isinstance(answers, Fingerprint) else str(found)

    def _request_identity(self) -> tuple[str, str]:
        """Return name and fingerprint of what `segqa serve` serves; the latter is empty where that has none."""
        card = self._parse_json(self._request("GET", "/model"))
        if not isinstance(card, dict) or "fingerprint" not in card:
            raise ModelError(
                f"http: {self._url}/model is not that of `segqa serve`; "
                "describe another API by request and response in [tool.segqa.models.http]"
            )
        said = str(card["fingerprint"] or "")
        return str(card.get("name", "")), Fingerprint(said) if card.get("fingerprint_computed") is True else said

    def _require_same(self, answer: object) -> None:
        came = answer.get("fingerprint") if isinstance(answer, dict) else None
        if self._served and came != self._served:
            raise ModelError(f"http: {self._url} had the model {self._served}, and has {came} now; start the run again")

    def _request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """An answer of 2xx; asked for again where the server is busy or cannot be reached."""
        for attempt in range(self._retries + 1):
            response, problem = self._attempt(method, f"{self._url}{path}", arguments)
            if response is not None and response.status_code not in _LATER:
                return _require_success(response)
            pause = self._compute_delay(response, attempt)
            if attempt == self._retries or pause > max(self._patience, _LONGEST_PAUSE):
                break
            time.sleep(pause)
        said = problem or f"is busy (it says: {_summarize_response(response)})"
        raise ModelError(f"http: {self._url}{path} {said}; asked {attempt + 1} times; is the server up, and url right?")

    def _attempt(self, method: str, url: str, arguments: dict[str, Any]) -> tuple[httpx.Response | None, str]:
        """One request: what came back, or why nothing did."""
        import httpx

        try:
            return self._client.request(method, url, **arguments), ""
        except (httpx.NetworkError, httpx.RemoteProtocolError, httpx.ConnectTimeout) as error:
            return None, f"cannot be reached: {str(error) or type(error).__name__}"
        except httpx.TimeoutException as error:
            # not asked again: it may be at work on what it has been asked
            raise ModelError(f"http: {url} gave no answer within {self._patience:g} s; raise timeout") from error
        except httpx.HTTPError as error:
            raise ModelError(f"http: {url} cannot be asked: {error}") from error

    def _compute_delay(self, response: httpx.Response | None, attempt: int) -> float:
        """Seconds to wait: what the server says, or longer each time, not all at once."""
        stated = _parse_retry_after(response.headers.get("retry-after", "")) if response is not None else None
        if stated is not None:
            return stated
        longest = min(_LONGEST_PAUSE, self._backoff * 2.0**attempt)
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - no secret

    def _parse_json(self, response: httpx.Response) -> object:
        try:
            return response.json()
        except ValueError as error:
            raise ModelError(f"http: {response.url} answered no JSON but {_summarize_response(response)!r}") from error


def _build_client(timeout: float, token_env: str) -> httpx.Client:
    try:
        import httpx
    except ModuleNotFoundError as error:
        raise ModelError("http needs httpx: pip install 'segqa[http]'") from error
    token = os.environ.get(token_env, "").strip() if token_env else ""
    if token_env and not token:
        raise ModelError(f"http: expected a token in ${token_env}, which [tool.segqa.models.http] token_env names")
    return httpx.Client(timeout=timeout, headers={"Authorization": f"Bearer {token}"} if token else {})


def _check_url(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise ModelError(f'http: expected [tool.segqa.models.http] url = "http://127.0.0.1:8000", got {url!r}')
    return url.rstrip("/")


def _encode_png(image: Image) -> bytes:
    """Without loss, and quickly rather than small."""
    reversed_channels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return np.asarray(cv2.imencode(".png", reversed_channels, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1]).tobytes()


def _require_success(response: httpx.Response) -> httpx.Response:
    if not response.is_success:
        raise ModelError(f"http: {response.url} answered {response.status_code}: {_summarize_response(response)}")
    return response


def _summarize_response(response: httpx.Response | None) -> str:
    """Why a server refuses, as `segqa serve` says it, or the beginning of what it says."""
    if response is None:
        return ""
    try:
        told = response.json()
        return f"expected {told['expected']}, got {told['got']}; {told['do']}"
    except (ValueError, TypeError, KeyError):
        return str(response.text)[:_SHOWN]


def _parse_retry_after(text: str) -> float | None:
    """The seconds in a `Retry-After`: a number, or a date; None where it is neither."""
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
