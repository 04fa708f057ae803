from __future__ import annotations

import pytest
import torch

from segqa.inference.batch_size import LARGEST, BatchSetting, BatchSize, is_out_of_memory

GIGABYTE = 10**9


class Gpu:
    """A GPU that needs a megabyte an image, and `overhead` seconds a call beside a millisecond an image."""

    def __init__(self, total: int, overhead: float) -> None:
        self.total, self.overhead, self.peak = total, overhead, 0

    def memory(self) -> tuple[int, int]:
        return self.peak, self.total

    def call(self, images: int) -> float:
        self.peak = max(self.peak, images * 10**6)
        return self.overhead + images / 1000


def after(calls: int, gpu: Gpu, setting: BatchSetting = "auto") -> BatchSize:
    batch = BatchSize(setting, gpu.memory)
    for _ in range(calls):
        batch.record_success(batch.current, gpu.call(batch.current))
    return batch


def test_it_grows_while_an_image_gets_cheaper() -> None:
    assert after(100, Gpu(GIGABYTE, overhead=0.01)).current == 128


def test_it_ends_where_the_memory_would() -> None:
    assert after(100, Gpu(50 * 10**6, overhead=1.0)).current == 32


def test_it_ends_somewhere() -> None:
    assert after(100, Gpu(10**15, overhead=10.0)).current == LARGEST


def test_where_nothing_is_gained_it_stays() -> None:
    assert after(100, Gpu(GIGABYTE, overhead=0.0)).current == 8


def test_without_a_gpu_it_stays() -> None:
    batch = BatchSize("auto", lambda: None)
    for _ in range(10):
        batch.record_success(8, 1.0)
    assert batch.current == 8


def test_a_number_stays() -> None:
    assert after(100, Gpu(GIGABYTE, overhead=1.0), setting=5).current == 5


def test_smaller_calls_say_nothing() -> None:
    batch = BatchSize("auto", Gpu(GIGABYTE, 1.0).memory)
    for _ in range(10):
        batch.record_success(3, 1.0)
    assert batch.current == 8


def test_what_was_too_much_is_halved_and_does_not_grow_again() -> None:
    gpu = Gpu(GIGABYTE, overhead=1.0)
    batch = after(4, gpu)
    assert batch.current == 32
    batch.record_failure(32)
    for _ in range(10):
        batch.record_success(batch.current, gpu.call(batch.current))
    assert batch.current == 16
    for _ in range(10):
        batch.record_failure(batch.current)
    assert batch.current == 1


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[ONNXRuntimeError] : 6 : Failed to allocate memory for requested buffer"),
        RuntimeError("CUDA error: out of memory"),
    ],
)
def test_each_library_has_words_for_it(error: Exception) -> None:
    assert is_out_of_memory(error)


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), ValueError("out of memory lane")])
def test_other_failures_are_others(error: Exception) -> None:
    assert not is_out_of_memory(error)
