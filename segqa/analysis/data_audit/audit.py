"""Audit a data set for flaws such as unreadable files, duplicate images and train/test leakage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from segqa.analysis.data_audit.case_stats import CaseStats, TargetOutline, read_case_stats
from segqa.analysis.data_audit.flaws import Flaw, Flaws
from segqa.analysis.data_audit.image_hash import HASH_BITS, ImageHash, find_near_duplicates
from segqa.data.dataset import Dataset
from segqa.data.reading_rules import explain_sizes
from segqa.inference.evaluator import Progress, silent
from segqa.runs.run import find_repeatable_options
from segqa.runs.store import Store

INVERTED_BORDER = 0.75
"""Minimum share of the border that an inverted-looking mask covers, along with all four corners."""

INVERTED_AREA = 0.5
"""Minimum share of the image that an inverted-looking mask covers."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Audit:
    """The flaws of a data set; an attribute without flaws is false.

    Attributes:
        dataset: name of the data set.
        unreadable: the image or mask is missing or cannot be read; other flaws are listed as far as they are visible.
        unequal: the image and the mask have different sizes.
        not_binary: the mask has grey values between object and background.
        empty: the target has no pixels.
        full: the target covers the whole image.
        inverted: the mask looks inverted: it covers all four corners, three quarters of the border and half of the
            image.
        repeated: the image is identical to that of an earlier case.
        near_duplicates: the image is nearly identical to that of an earlier case, see
            `segqa.analysis.data_audit.image_hash`.
        leaked: the image, or a near duplicate, is in the training data; None without training data.
        unread_train: cases of the training data whose image cannot be read and was not compared.
        untagged: the case lacks a tag that other cases have.
    """

    dataset: str
    unreadable: Flaws
    unequal: Flaws
    not_binary: Flaws
    empty: Flaws
    full: Flaws
    inverted: Flaws
    repeated: Flaws
    near_duplicates: Flaws
    leaked: Flaws | None
    unread_train: Flaws | None
    untagged: Flaws

    def __repr__(self) -> str:
        """Return a short text for failing assertions."""
        return f"<audit of {self.dataset}>"


def audit_dataset(
    dataset: Dataset,
    train: Dataset | None = None,
    store: Store | None = None,
    *,
    command: str = "",
    progress: Progress = silent,
) -> Audit:
    """Check every case of a data set for flaws.

    For example, `segqa.audit_dataset(segqa.open_folder("photos")).near_duplicates.story` lists the near duplicates.

    Args:
        dataset: the cases to check.
        train: the training data; none of the images should be in it.
        store: caches the statistics of each case; without a store, every file is read.
        command: the command that the user typed, for the commands in messages.
        progress: called with the number of checked cases and the total.

    Raises:
        StoreError: the cache cannot be read or written.
    """
    total = len(dataset) + (len(train) if train else 0)
    stats = _collect_stats(read_case_stats(dataset, store), 0, total, progress)
    train_stats = (
        _collect_stats(read_case_stats(train, store, images_only=True), len(dataset), total, progress)
        if train
        else None
    )
    words = find_repeatable_options(command)

    def flaws(title: str, found: Iterable[Flaw]) -> Flaws:
        return Flaws(title, tuple(found), len(dataset), words)

    return Audit(
        dataset=dataset.name,
        unreadable=flaws("cannot be read", (Flaw(each.case_id, each.error) for each in stats if each.error)),
        unequal=flaws("have an image and a mask of different sizes", _find_size_mismatches(stats)),
        not_binary=flaws("have a mask that is not binary", _find_non_binary(stats)),
        empty=flaws("have an empty target", _find_by_share(stats, 0)),
        full=flaws("have a target that is the whole image", _find_by_share(stats, 1)),
        inverted=flaws("have a mask that looks inverted", _find_inverted(stats)),
        repeated=flaws("repeat the image of another case", _find_repeats(stats)),
        near_duplicates=flaws("have nearly the same image as another case", _find_near_duplicates(stats)),
        leaked=None
        if train_stats is None
        else flaws("have an image that is in the training data", _find_leaks(stats, train_stats)),
        unread_train=None if train_stats is None else _find_unreadable(train_stats),
        untagged=flaws(*_find_untagged(dataset)),
    )


def _collect_stats(stats: Iterable[CaseStats], before: int, total: int, progress: Progress) -> tuple[CaseStats, ...]:
    """Collect the statistics and report the progress."""
    seen = []
    progress(before, total)
    for case_stats in stats:
        seen.append(case_stats)
        progress(before + len(seen), total)
    return tuple(seen)


def _find_size_mismatches(stats: Sequence[CaseStats]) -> Iterable[Flaw]:
    for case_stats in stats:
        if case_stats.image_hash and case_stats.outline and case_stats.image_hash.size != case_stats.outline.size:
            sizes = case_stats.image_hash.size, case_stats.outline.size
            image, mask = ("{} × {}".format(*size) for size in sizes)
            yield Flaw(case_stats.case_id, f"image {image} pixels, mask {mask}{explain_sizes(*sizes)}")


def _find_non_binary(stats: Sequence[CaseStats]) -> Iterable[Flaw]:
    return (
        Flaw(case_stats.case_id, case_stats.outline.note)
        for case_stats in stats
        if case_stats.outline and case_stats.outline.note
    )


def _find_by_share(stats: Sequence[CaseStats], share: float) -> Iterable[Flaw]:
    return (
        Flaw(case_stats.case_id) for case_stats in stats if case_stats.outline and case_stats.outline.share == share
    )


def _find_inverted(stats: Sequence[CaseStats]) -> Iterable[Flaw]:
    """Find masks that look inverted; if most do, mention the threshold that allows objects of this kind."""
    readable = [(case_stats.case_id, case_stats.outline) for case_stats in stats if case_stats.outline]
    inverted = [(case_id, outline) for case_id, outline in readable if _is_inverted(outline)]
    allow = "; set thresholds.inverted = 1.0 if the objects do cover the frame" * (2 * len(inverted) >= len(readable))
    for case_id, outline in inverted:
        where = f"all corners, {outline.border:.0%} of the border"
        yield Flaw(case_id, f"object is {outline.share:.0%} of the image, {where}{allow}")


def _is_inverted(outline: TargetOutline) -> bool:
    covers = outline.corners == 4 and outline.border >= INVERTED_BORDER and outline.share >= INVERTED_AREA
    return covers and outline.share < 1


def _find_repeats(stats: Sequence[CaseStats]) -> Iterable[Flaw]:
    first: dict[bytes, str] = {}
    for case_stats in stats:
        if case_stats.image_hash:
            other = first.setdefault(case_stats.image_hash.digest, case_stats.case_id)
            if other != case_stats.case_id:
                yield Flaw(case_stats.case_id, f"the same image as {other}", other)


def _find_near_duplicates(stats: Sequence[CaseStats]) -> Iterable[Flaw]:
    case_ids, hashes = _select_distinct(stats)
    for duplicate in find_near_duplicates(hashes):
        other = case_ids[duplicate.other]
        yield Flaw(case_ids[duplicate.index], f"like {other}: {duplicate.distance} of {HASH_BITS} bits differ", other)


def _select_distinct(stats: Sequence[CaseStats]) -> tuple[list[str], list[ImageHash]]:
    """Return the ids and hashes of the cases with distinct images; keep the first of identical ones."""
    first: dict[bytes, tuple[str, ImageHash]] = {}
    for case_stats in stats:
        if case_stats.image_hash:
            first.setdefault(case_stats.image_hash.digest, (case_stats.case_id, case_stats.image_hash))
    return [case_id for case_id, _ in first.values()], [image_hash for _, image_hash in first.values()]


def _find_leaks(stats: Sequence[CaseStats], train_stats: Sequence[CaseStats]) -> Iterable[Flaw]:
    """Find cases whose image, or a near duplicate, is in the training data."""
    train_ids, train = _select_distinct(train_stats)
    known = {image_hash.digest: case_id for case_id, image_hash in zip(train_ids, train, strict=True)}
    seen = [(case_stats.case_id, case_stats.image_hash) for case_stats in stats if case_stats.image_hash]
    near = {
        duplicate.index: duplicate for duplicate in find_near_duplicates([image_hash for _, image_hash in seen], train)
    }
    for index, (case_id, image_hash) in enumerate(seen):
        if image_hash.digest in known:
            yield Flaw(case_id, f"the same image as {known[image_hash.digest]} of the training data")
        elif index in near:
            duplicate = near[index]
            differ = f"{duplicate.distance} of {HASH_BITS} bits differ"
            yield Flaw(case_id, f"like {train_ids[duplicate.other]} of the training data: {differ}")


def _find_unreadable(train_stats: Sequence[CaseStats]) -> Flaws:
    found = tuple(Flaw(case_stats.case_id, case_stats.error) for case_stats in train_stats if case_stats.error)
    return Flaws("of the training data cannot be read", found, len(train_stats), ())


def _find_untagged(dataset: Dataset) -> tuple[str, list[Flaw]]:
    """Return a title and the cases that lack a tag that other cases have."""
    names = sorted(dataset.tag_names)
    lacking = {case.id: [name for name in names if name not in case.tags] for case in dataset}
    times = Counter(name for missing in lacking.values() for name in missing)
    counted = ", ".join(f"{name}: {times[name]}" for name in sorted(times))
    found = [Flaw(case_id, f"no {', no '.join(missing)}") for case_id, missing in lacking.items() if missing]
    return f"lack a tag that others have ({counted})", found
