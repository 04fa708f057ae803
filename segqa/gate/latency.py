"""Compare the latency of a model with its earlier latency on the same machine.

The seconds that count are those of `predict`. They are kept beside the baseline, in a file of their own: a baseline has
the same bytes wherever it is written, and seconds never do.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from segqa.errors import BaselineError, StoreError
from segqa.gate.baseline import get_baseline_path
from segqa.runs.checksums import add_checksum, require_checksum
from segqa.runs.run import Run
from segqa.runs.store import write_whole
from segqa.support.git import refuse_pointers

SPEED_VERSION = 1
"""The version of the file format; other versions are refused."""

MIN_TIMED = 20
"""The median of fewer cases says little."""

NOISE = 0.0005
"""Seconds a case. Smaller differences are not told from noise: a thread that reads the next images takes turns with the
model. Over 40 evaluations of one model, on two busy cores, the median case took 12 to 57 µs."""

_NEAR = 1.2

_AGAIN = "delete it, and write it again with `pytest suites --segqa-update-baseline`"


@dataclass(frozen=True, slots=True)
class Speed:
    """Seconds a case.

    Attributes:
        machine: where, in batches of which size; seconds of others are not compared.
        cases: how many were timed.
        p50: the median.
        p95: 95 % of the cases took no longer.
        reference: the median that slowdowns are counted from; None for `p50`.
    """

    machine: str
    cases: int
    p50: float
    p95: float
    reference: float | None = None

    def describe_slowdown(self, before: Speed, slowdown: float) -> str:
        """Say that this is slower than the reference of the speed before allows; empty where it is not."""
        reference = replace(before, p50=before.reference or before.p50)
        if self.p50 <= reference.limit(slowdown):
            return ""
        return (
            f"the median case takes {self.p50:.3g} s on {self.machine}, "
            f"{self.compute_ratio(reference):.2g} times as long "
            f"as the reference ({reference.p50:.3g} s); expected at most slowdown = {slowdown:g} times"
        )

    def follow(self, before: Speed) -> Speed:
        """Return it with the reference of the speed before, unless it is faster than that."""
        reference = before.reference or before.p50
        return self if self.p50 <= reference else replace(self, reference=reference)

    def compute_ratio(self, other: Speed) -> float:
        """Return the ratio of the medians, this one over the other."""
        return self.p50 / other.p50

    def limit(self, slowdown: float) -> float:
        """Return the most seconds that the median case may take to be no slower: at least `NOISE` more than before.

        >>> before = Speed("laptop", 100, p50=0.00002, p95=0.00003)
        >>> round(before.limit(1.5), 6)
        0.00052
        """
        return max(slowdown * self.p50, self.p50 + NOISE)

    def is_near(self, other: Speed) -> bool:
        """Return whether the medians differ by a fifth or less, or by no more than noise."""
        return 1 / _NEAR <= self.compute_ratio(other) <= _NEAR or abs(self.p50 - other.p50) <= NOISE


def compute_speed(run: Run) -> Speed | None:
    """Compute the latency of a run; None where the model was asked for fewer than 20 cases."""
    taken = run.provenance.get("stages", {}).get("infer")
    if taken is None or taken["cases"] < MIN_TIMED:
        return None
    where = f"{run.provenance['hardware']}, batches of {run.provenance['batch_size']}"
    return Speed(where, taken["cases"], taken["p50"], taken["p95"])


def get_speed_path(folder: Path, run: Run) -> Path:
    """Return the path of the latency file of a model, beside its baseline."""
    return get_baseline_path(folder, run).with_suffix(".speed.json")


def read_speeds(path: Path) -> dict[str, Speed]:
    """The speeds that are kept, by the machine; none where there is no file.

    Raises:
        BaselineError: the file is damaged.
    """
    if not path.exists():
        return {}
    refuse_pointers([path], BaselineError)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["segqa_speed"] != SPEED_VERSION:
            raise BaselineError(f"{path} has version {content['segqa_speed']}, expected {SPEED_VERSION}")
        require_checksum(content, path, _AGAIN)
        return {machine: _parse_speed(machine, **taken) for machine, taken in content["machines"].items()}
    except StoreError as error:
        raise BaselineError(str(error)) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BaselineError(f"{path} is damaged ({type(error).__name__}: {error}); {_AGAIN}") from error


def keep_speed(path: Path, speed: Speed, *, accepted: bool = False) -> bool:
    """Keep a speed in place of the one that is kept for its machine; whether that was worth it.

    Where it is near to what is kept, the file stays as it is: else it would change every time. The reference stays,
    unless the new speed is faster or was accepted with a reason, so that small slowdowns add up.
    """
    kept = read_speeds(path)
    before = kept.get(speed.machine)
    if before is not None and speed.is_near(before):
        return False
    if before is not None and not accepted:
        speed = speed.follow(before)
    taken = {machine: asdict(each) for machine, each in sorted({**kept, speed.machine: speed}.items())}
    for each in taken.values():
        del each["machine"]
        if each["reference"] is None:
            del each["reference"]
    path.parent.mkdir(parents=True, exist_ok=True)
    document = add_checksum({"segqa_speed": SPEED_VERSION, "machines": taken})
    write_whole(path, json.dumps(document, indent=1) + "\n")
    return True


def _parse_speed(machine: str, *, cases: object, p50: object, p95: object, reference: object = None) -> Speed:
    """Parse and check the latency of one machine."""
    if not isinstance(cases, int):
        raise TypeError(f"{cases!r} is no number of cases")
    return Speed(
        machine,
        cases,
        _parse_seconds(p50),
        _parse_seconds(p95),
        None if reference is None else _parse_seconds(reference),
    )


def _parse_seconds(value: object) -> float:
    # bool is an int; NaN fails the comparison
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise ValueError(f"{value!r} is no number of seconds")
    return float(value)
