import time
from collections.abc import Sequence
from concurrent.futures import CancelledError

import numpy as np
import pytest

from segqa.data.mask import Image
from segqa.errors import ProposalsError
from segqa.models.protocol import Proposals
from segqa.serving.queue import ModelThread, choose_batch_size
from tests.serving.conftest import Blocked, Bright, Broken

DARK = np.zeros((6, 8, 3), np.uint8)


def ask_while_busy(thread: ModelThread, model: Blocked, prompts: list[str], images: int = 1) -> list[list[Proposals]]:
    """Return the answers to requests that arrived while the model was busy."""
    first = thread.submit([DARK], "first")
    assert model.asked.wait(10)
    waiting = [thread.submit([DARK] * images, prompt) for prompt in prompts]
    model.may_answer.set()
    first.result(10)
    return [each.result(10) for each in waiting]


def test_waiting_requests_with_one_prompt_go_into_one_call() -> None:
    model = Blocked()
    with ModelThread(model, 4).run() as thread:
        answers = ask_while_busy(thread, model, ["a", "a", "a", "a", "a", "b", "a"])
    assert model.calls[1:] == [(4, "a"), (1, "a"), (1, "b"), (1, "a")]
    assert [len(each) for each in answers] == [1] * 7


def test_on_a_cpu_each_goes_alone() -> None:
    model = Blocked()
    with ModelThread(model, choose_batch_size(8)).run() as thread:
        ask_while_busy(thread, model, ["a", "a"])
    assert model.calls[1:] == [(1, "a"), (1, "a")]


def test_the_images_of_a_request_stay_together() -> None:
    model = Blocked()
    with ModelThread(model, 4).run() as thread:
        ask_while_busy(thread, model, ["a", "a", "a"], images=3)
    assert model.calls[1:] == [(3, "a")] * 3


def test_each_request_gets_its_own_answer_in_its_own_order() -> None:
    model = Blocked()
    shapes = [(4, 5), (6, 7), (8, 9), (3, 3)]
    with ModelThread(model, 8).run() as thread:
        first = thread.submit([DARK], "a")
        assert model.asked.wait(10)
        pairs = [
            thread.submit([np.zeros((*shape, 3), np.uint8) for shape in shapes[start : start + 2]], "a")
            for start in (0, 2)
        ]
        model.may_answer.set()
        found = [proposals.masks.shape[1:] for pair in pairs for proposals in pair.result(10)]
    assert first.result(10)
    assert found == shapes


def test_what_nobody_waits_for_is_not_asked() -> None:
    model = Blocked()
    with ModelThread(model, 1).run() as thread:
        thread.submit([DARK], "first")
        assert model.asked.wait(10)
        given_up = thread.submit([DARK], "given up")
        given_up.cancel()
        last = thread.submit([DARK], "last")
        model.may_answer.set()
        last.result(10)
    assert [prompt for _, prompt in model.calls] == ["first", "last"]
    with pytest.raises(CancelledError):
        given_up.result()


def test_one_request_that_fails_does_not_fail_its_neighbours() -> None:
    class Both(Broken, Blocked):
        pass

    model = Both()
    with ModelThread(model, 4).run() as thread:
        thread.submit([DARK], "a")
        assert model.asked.wait(10)
        good, bad = thread.submit([DARK], "a"), thread.submit([DARK + 255], "a")
        model.may_answer.set()
        assert len(good.result(10)) == 1
        with pytest.raises(ProposalsError, match="the model failed"):
            bad.result(10)


def test_the_thread_outlives_whatever_a_model_does() -> None:
    class Unprepared(Bright):
        def prepare(self, image: Image, prompt: str) -> Image:
            if prompt == "bad":
                raise MemoryError
            return image

        predict_prepared = Bright.predict

    with ModelThread(Unprepared(), 1).run() as thread:
        with pytest.raises(ProposalsError):
            thread.submit([DARK], "bad").result(10)
        assert thread.submit([DARK], "good").result(10)


def test_one_can_see_how_long_the_model_has_been_at_it() -> None:
    model = Blocked()
    with ModelThread(model, 1).run() as thread:
        assert thread.call_seconds == 0
        answer = thread.submit([DARK], "a")
        assert model.asked.wait(10)
        time.sleep(0.05)
        assert thread.call_seconds >= 0.05
        model.may_answer.set()
        answer.result(10)
        assert thread.seconds >= 0.05


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), RuntimeError("no")])
def test_a_model_that_wants_to_leave_does_not_end_the_thread(error: BaseException) -> None:
    """Later requests would wait for ever."""

    class Leaving(Bright):
        def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
            if prompts[0] == "leave":
                raise error
            return super().predict(images, prompts)

    with ModelThread(Leaving(), 1).run() as thread:
        with pytest.raises(ProposalsError, match="the model failed"):
            thread.submit([DARK], "leave").result(10)
        assert len(thread.submit([DARK], "stay").result(10)) == 1
