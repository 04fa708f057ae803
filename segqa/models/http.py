"""`http`: a model behind an HTTP API, either `segqa serve` or any API that the settings describe."""

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
    """A client of a segmentation server; each image is sent losslessly in a request of its own.

    With `segqa serve`, the fingerprint is that of the served model, and an answer by another model is an error.
    Other APIs have none unless you state it, since only you know when their answers could change.

    Args:
        url: the server's URL.
        timeout: seconds to connect, and between two parts of an answer.
        retries: how often to repeat a request that could not connect or met a busy server (429, 503).
        backoff: seconds before the first retry, doubled for each further one; `Retry-After` has precedence.
        parallel: concurrent requests.
        token_env: the environment variable that holds the server's token.
        request: the request format of another API, see `segqa.models.http_api.RequestForm`.
        response: the response format of another API, see `segqa.models.http_api.AnswerPlaces`.
        fingerprint: for another API; change it whenever its answers could change.

    Raises:
        ModelError: the settings are invalid, or the server cannot be reached.
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
        """Return the server's proposals for each image.

        Raises:
            ModelError: the server does not answer, refuses the request, or sends an invalid answer.
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
        """Return the fingerprint for the model that answers; computed only if the server says that its own is."""
        if not answers:
            return None
        found = fingerprint_of(type(self), options={"answers": answers, "form": str(self._form)})
        return found if isinstance(answers, Fingerprint) else str(found)

    def _request_identity(self) -> tuple[str, str]:
        """Return name and fingerprint of the model behind `segqa serve`; the fingerprint is empty if it has none."""
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
        """Return a 2xx response; retry if the server is busy or cannot be reached."""
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
        """Send one request; return the response, or the reason why there is none."""
        import httpx

        try:
            return self._client.request(method, url, **arguments), ""
        except (httpx.NetworkError, httpx.RemoteProtocolError, httpx.ConnectTimeout) as error:
            return None, f"cannot be reached: {str(error) or type(error).__name__}"
        except httpx.TimeoutException as error:
            # not retried: the server may still be working on the request
            raise ModelError(f"http: {url} gave no answer within {self._patience:g} s; raise timeout") from error
        except httpx.HTTPError as error:
            raise ModelError(f"http: {url} cannot be asked: {error}") from error

    def _compute_delay(self, response: httpx.Response | None, attempt: int) -> float:
        """Return the seconds to wait: `Retry-After`, or exponential backoff with jitter."""
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
    """Encode an image as PNG, with fast rather than strong compression."""
    reversed_channels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return np.asarray(cv2.imencode(".png", reversed_channels, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1]).tobytes()


def _require_success(response: httpx.Response) -> httpx.Response:
    if not response.is_success:
        raise ModelError(f"http: {response.url} answered {response.status_code}: {_summarize_response(response)}")
    return response


def _summarize_response(response: httpx.Response | None) -> str:
    """Return the reason for a refusal: the error of `segqa serve`, or the beginning of the response."""
    if response is None:
        return ""
    try:
        told = response.json()
        return f"expected {told['expected']}, got {told['got']}; {told['do']}"
    except (ValueError, TypeError, KeyError):
        return str(response.text)[:_SHOWN]


def _parse_retry_after(text: str) -> float | None:
    """Parse the seconds of a `Retry-After` header, a number or a date; None if it is neither."""
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
