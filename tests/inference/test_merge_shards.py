"""Parts make the whole that one evaluation would have made, or are refused."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segqa.data.dataset import Dataset
from segqa.data.folder import open_folder
from segqa.data.mask import Image
from segqa.data.subsets import Shard
from segqa.errors import ModelError, PartsError, StoreError
from segqa.inference.evaluator import Evaluation
from segqa.inference.merge_shards import merge_parts, read_part
from segqa.inference.property_cache import narrow
from segqa.inference.proposal_cache import ProposalCache
from segqa.models.protocol import Proposals
from segqa.runs.checksums import add_checksum
from segqa.runs.outcome import Outcome
from segqa.runs.query import parse_condition
from segqa.runs.run import Run
from segqa.runs.slices import find_edges
from segqa.runs.store import Store, find_unchecked
from tests.damage import flip_bit, remove_checksums

Squares = Callable[[int], Path]
COUNT, OF = 24, 3


class Bright:
    """Offers what is bright and what is dark, and loses every third square."""

    def __init__(self, fingerprint: str | None = "bright") -> None:
        self.fingerprint = fingerprint
        self.asked = 0

    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
        self.asked += len(images)
        return [self.answer(image[:, :, 0] > 100) for image in images]

    def answer(self, bright: "np.ndarray[Any, np.dtype[np.bool_]]") -> Proposals:
        lost = float(np.nonzero(bright)[0][0] % 3 == 0)
        return Proposals(np.stack([bright, ~bright]), np.array([0.5, lost]), np.array([0.5, lost]), np.zeros((2, 4)))


def evaluate(data: Dataset, store: Store, shard: Shard | None = None, model: object = None, **how: Any) -> Run:
    options = {"shard": str(shard)} if shard else {}
    settings = {"prompt": "person.", **how.pop("settings", {})}
    evaluation = Evaluation(shard=shard, options={**options, **how.pop("options", {})}, settings=settings, **how)
    return evaluation.run(model or Bright(), "bright", data.with_prompt(settings["prompt"]), store)  # type: ignore[arg-type] # a model


def folders(data: Dataset, root: Path, of: int = OF, **how: Any) -> list[Path]:
    """The folders of all shards, each in a store of its own."""
    stores = [Store(root / f"machine {number}") for number in range(1, of + 1)]
    runs = [evaluate(data, store, Shard(number, of), **how) for number, store in enumerate(stores, 1)]
    return [store.run_folder(run.id) for store, run in zip(stores, runs, strict=True)]


def merged(parts: Sequence[Path], root: Path) -> Run:
    return merge_parts([read_part(folder) for folder in parts], Store(root / "own"))


def timeless(outcomes: Sequence[Outcome]) -> list[Outcome]:
    return [replace(outcome, seconds=0.0) for outcome in outcomes]


def change(folder: Path, *keys: str, value: object) -> None:
    """Change what a part says of itself."""
    path = folder / "run.json"
    header = json.loads(path.read_text(encoding="utf-8"))
    place = header
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    path.write_text(json.dumps(add_checksum(header)), encoding="utf-8")


@pytest.fixture
def data(squares: Squares) -> Dataset:
    folder = squares(COUNT)
    (folder / "images" / "A_004.png").write_bytes(b"")
    rows = [f"{'AB'[index % 2]}_{index:03},{index * 1.5}" for index in range(COUNT)]
    (folder / "metadata.csv").write_text("\n".join(["id,distance", *rows]), encoding="utf-8")
    return open_folder(folder, name_pattern=r"(?P<row>[AB])_(?P<number>\d+)")


@pytest.fixture
def parts(data: Dataset, tmp_path: Path) -> list[Path]:
    return folders(data, tmp_path)


def test_the_whole_is_what_one_machine_would_have_made(data: Dataset, parts: list[Path], tmp_path: Path) -> None:
    alone = evaluate(data, Store(tmp_path / "alone"))
    whole = merged(reversed(parts), tmp_path)  # type: ignore[arg-type] # any order
    assert timeless(whole.outcomes) == timeless(alone.outcomes)
    assert len(whole.errors) == 1
    fields = (
        "model",
        "dataset",
        "expected",
        "pick",
        "empty",
        "threshold",
        "edges",
        "kinds",
        "mean_iou",
        "p05",
        "regret",
    )
    for name in fields:
        mine, other = getattr(whole, name), getattr(alone, name)
        assert mine() == other() if callable(mine) else mine == other, name
    assert [part.part for part in whole.slices()] == [part.part for part in alone.slices()]
    assert whole.provenance["dataset_digest"] == alone.provenance["dataset_digest"]
    assert whole == Store(tmp_path / "own").load(whole.id)
    assert Store(tmp_path / "own").is_finished(whole.id)


def test_the_whole_says_what_it_is_made_of(parts: list[Path], tmp_path: Path) -> None:
    whole = merged(parts, tmp_path)
    told = whole.provenance["parts"]
    assert [each["shard"] for each in told] == ["1/3", "2/3", "3/3"]
    assert [each["run"] for each in told] == [folder.name for folder in parts]
    assert sum(each["cases"] for each in told) == COUNT
    assert all(each["hardware"] for each in told)
    summed = sum(outcome.seconds for outcome in whole.outcomes)
    assert whole.provenance["inference_seconds"] == pytest.approx(summed, abs=1e-3)
    assert not whole.is_partial
    assert "shard" not in whole.provenance


def test_a_part_counts_as_one(parts: list[Path]) -> None:
    part = read_part(parts[0])
    assert part.run.narrowed_by == ["shard"]
    assert Store(parts[0].parents[1]).find_last_whole("bright") is None
    assert part.run.how_to_repeat == "pytest suites"


def test_a_shard_says_which_part_of_which_whole_it_is(data: Dataset, parts: list[Path]) -> None:
    about = [read_part(folder).about for folder in parts]
    assert [(each["number"], each["of"], each["cases"]) for each in about] == [(n, OF, COUNT) for n in (1, 2, 3)]
    assert {each["listing"] for each in about} == {data.with_prompt("person.").listing()}


def test_a_shard_without_cases_may_be_there_or_not(squares: Squares, tmp_path: Path) -> None:
    data = open_folder(squares(2))
    made = folders(data, tmp_path, of=7)
    empty = [folder for folder in made if not read_part(folder).run.expected]
    assert len(empty) >= 5
    assert len(merged(made, tmp_path).outcomes) == 2
    assert len(merged([folder for folder in made if folder not in empty], tmp_path).outcomes) == 2


def test_edges_of_a_larger_data_set_are_kept(data: Dataset, tmp_path: Path) -> None:
    store = Store(tmp_path / "edges")
    few, edges = narrow(data, parse_condition("distance=low or distance=medium"), store)
    how: dict[str, Any] = {"edges": edges, "options": {"where": "distance=low or distance=medium"}}
    alone = evaluate(few, Store(tmp_path / "alone"), **how)
    whole = merged(folders(few, tmp_path, **how), tmp_path)
    assert whole.edges == alone.edges
    assert whole.edges != find_edges(whole.outcomes)


def test_a_killed_shard_goes_on(data: Dataset, tmp_path: Path) -> None:
    class Dies(Bright):
        def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
            if self.asked:
                raise KeyboardInterrupt
            return super().predict(images, prompts)

    Dies.__module__, Dies.__qualname__ = Bright.__module__, Bright.__qualname__
    store = Store(tmp_path / "one")
    with pytest.raises(KeyboardInterrupt):
        evaluate(data, store, Shard(2, OF), Dies(), batch_size=2)
    # another shard is another run, whatever is unfinished
    assert "resumed_at" not in evaluate(data, store, Shard(1, OF)).provenance
    again = Bright()
    resumed = evaluate(data, store, Shard(2, OF), again)
    assert resumed.provenance["resumed_at"] == 2
    assert again.asked == len(resumed.scored) - 2
    assert len(store.run_ids()) == 2


def test_an_unfinished_part_is_refused_by_name(data: Dataset, parts: list[Path], tmp_path: Path) -> None:
    change(parts[1], "finished", value=False)
    with pytest.raises(PartsError, match=rf"shard 2/3 \({parts[1].name}\) is not finished"):
        merged(parts, tmp_path)


def test_a_run_that_is_no_shard_is_refused(data: Dataset, parts: list[Path], tmp_path: Path) -> None:
    store = Store(tmp_path / "alone")
    folder = store.run_folder(evaluate(data, store).id)
    with pytest.raises(PartsError, match=rf"run {folder.name} is no shard"):
        merged([*parts, folder], tmp_path)


def test_a_missing_shard_is_refused_by_number(parts: list[Path], tmp_path: Path) -> None:
    left = len(read_part(parts[1]).run.expected)
    with pytest.raises(PartsError, match=rf"{left} of {COUNT} cases are missing: shard 2/3 is not there"):
        merged([parts[0], parts[2]], tmp_path)
    assert Store(tmp_path / "own").run_ids() == []


def test_a_shard_that_is_there_twice_is_refused(data: Dataset, parts: list[Path], tmp_path: Path) -> None:
    store = Store(tmp_path / "again")
    twin = store.run_folder(evaluate(data, store, Shard(3, OF)).id)
    with pytest.raises(PartsError, match=rf"shard 3/3 is there 2 times: {parts[2].name} and {twin.name}"):
        merged([*parts, twin], tmp_path)


def test_a_case_of_another_shard_is_refused(parts: list[Path], tmp_path: Path) -> None:
    change(parts[0], "run", "provenance", "shard", "number", value=2)
    change(parts[1], "run", "provenance", "shard", "number", value=1)
    with pytest.raises(PartsError, match="has cases of another shard"):
        merged(parts, tmp_path)


@pytest.mark.parametrize(
    ("how", "what"),
    [
        pytest.param({"model": Bright("other weights")}, "model fingerprint", id="another model"),
        pytest.param({"pick": "first"}, "picker, got 'agreement' in .* and 'first' in", id="another picker"),
        pytest.param({"threshold": 0.8}, "threshold of IoU, got 0.7", id="another threshold"),
        pytest.param({"empty": "zero"}, "policy for empty masks", id="another policy"),
        pytest.param({"settings": {"prompt": "dog."}}, "--segqa-prompt", id="another prompt"),
        pytest.param({"settings": {"limit": 5}}, "--segqa-limit", id="another limit"),
        pytest.param({"settings": {"mask_cutoff": 90}}, "--segqa-mask-cutoff", id="another cutoff"),
        pytest.param({"settings": {"name_pattern": "(?P<a>.)"}}, "--segqa-name-pattern", id="another pattern"),
        pytest.param({"options": {"held-out": True}}, "--segqa-held-out", id="held out"),
        pytest.param({"options": {"where": "row=A"}}, "--segqa-where", id="another condition"),
    ],
)
def test_a_part_that_was_made_in_another_way_is_refused(
    data: Dataset, parts: list[Path], tmp_path: Path, how: dict[str, Any], what: str
) -> None:
    store = Store(tmp_path / "odd")
    odd = store.run_folder(evaluate(data, store, Shard(3, OF), **how).id)
    with pytest.raises(PartsError, match=f"parts must have the same {what}") as raised:
        merged([*parts[:2], odd], tmp_path)
    assert odd.name in str(raised.value)


def test_a_part_of_other_metrics_is_refused(parts: list[Path], tmp_path: Path) -> None:
    change(parts[2], "run", "provenance", "metric_version", value=0)
    with pytest.raises(PartsError, match="the same metric version"):
        merged(parts, tmp_path)


def test_a_part_whose_masks_were_read_by_another_rule_is_refused(parts: list[Path], tmp_path: Path) -> None:
    change(parts[2], "run", "provenance", "reading", "masks", value="0 and 1")
    with pytest.raises(PartsError, match=r"the same reading of masks and images, got .*'masks': '0 and 255'"):
        merged(parts, tmp_path)


def test_a_part_of_another_division_is_refused(data: Dataset, parts: list[Path], tmp_path: Path) -> None:
    odd = folders(data, tmp_path / "two", of=2)[1]
    with pytest.raises(PartsError, match=r"the same number of shards, got 3 in .* and 2 in"):
        merged([parts[0], odd], tmp_path)


def test_a_part_of_changed_data_is_refused_wherever_the_change_is(
    squares: Squares, data: Dataset, parts: list[Path], tmp_path: Path
) -> None:
    # a case of the first shard, which the last one does not read
    case = read_part(parts[0]).run.expected[0]
    with (tmp_path / "squares" / "masks" / f"{case}.png").open("ab") as file:
        file.write(b"redrawn")
    store = Store(tmp_path / "odd")
    odd = store.run_folder(evaluate(data, store, Shard(3, OF)).id)
    with pytest.raises(PartsError, match="the same cases of the data set"):
        merged([*parts[:2], odd], tmp_path)


def test_a_model_without_a_fingerprint_has_no_shards(data: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="without a fingerprint has no shards"):
        evaluate(data, Store(tmp_path / "x"), Shard(1, 2), Bright(None))
    assert Store(tmp_path / "x").run_ids() == []


def test_a_damaged_part_is_refused(parts: list[Path], tmp_path: Path) -> None:
    flip_bit(parts[1] / "cases.sqlite", b'"proposals": 2.0')
    with pytest.raises(StoreError, match="does not match its checksum"):
        merged(parts, tmp_path)


def test_that_a_part_cannot_be_checked_is_noted_in_the_whole(parts: list[Path], tmp_path: Path) -> None:
    remove_checksums(parts[1])
    whole = merged(parts, tmp_path)
    assert [note for note in whole.provenance["notes"] if "has no checksums" in note]
    assert not find_unchecked(Store(tmp_path / "own").run_folder(whole.id))


def test_what_may_decide_a_pixel_is_noted(parts: list[Path], tmp_path: Path) -> None:
    change(parts[1], "run", "provenance", "versions", "numpy", value="1.0")
    change(parts[2], "run", "provenance", "commit", value="f" * 40)
    change(parts[2], "run", "provenance", "changes", value={"files": ["model.py"], "count": 1, "digest": "ab"})
    whole = merged(parts, tmp_path)
    assert any("numpy" in note and note.endswith("has 1.0") for note in whole.provenance["notes"])
    assert any("commit ffffffffff" in note for note in whole.provenance["notes"])
    assert whole.provenance["dirty"]
    assert whole.provenance["commit"] == ""


def test_proposals_are_copied_from_where_they_lie(parts: list[Path], tmp_path: Path) -> None:
    alone = tmp_path / "copied without its store"
    shutil.copytree(parts[1], alone)
    whole = merged([parts[0], alone, parts[2]], tmp_path)
    held = {outcome.case_id for outcome in read_part(alone).run.outcomes}
    with ProposalCache(Store(tmp_path / "own").proposals_path(whole.id)) as cache:
        for outcome in whole.scored:
            answer = cache.get(bytes.fromhex(outcome.proposals_key))
            assert (answer is None) == (outcome.case_id in held)
            assert answer is None or len(answer.proposals) == 2
        assert [held.model for held in cache.holdings()] == ["bright"]


def test_proposals_that_were_not_to_be_shared_are_not(data: Dataset, tmp_path: Path) -> None:
    whole = merged(folders(data, tmp_path, cache=False), tmp_path)
    store = Store(tmp_path / "own")
    assert not store.shared_proposals.exists()
    with ProposalCache(store.proposals_path(whole.id)) as cache:
        assert cache.find_missing(bytes.fromhex(outcome.proposals_key) for outcome in whole.scored) == []


def test_parts_of_one_store_share_its_proposals(data: Dataset, tmp_path: Path) -> None:
    store = Store(tmp_path / "own")
    runs = [evaluate(data, store, Shard(number, OF)) for number in (1, 2, 3)]
    whole = merged([store.run_folder(run.id) for run in runs], tmp_path)
    with ProposalCache(store.proposals_path(whole.id)) as cache:
        assert cache.find_missing(bytes.fromhex(outcome.proposals_key) for outcome in whole.scored) == []


def test_damaged_proposals_leave_no_half_of_a_run(parts: list[Path], tmp_path: Path) -> None:
    damaged = parts[2].parents[1] / "proposals.sqlite"
    damaged.write_bytes(b"no database" * 1000)
    with pytest.raises(StoreError, match=r"cannot use the proposals in .*; remove it"):
        merged(parts, tmp_path)
    assert Store(tmp_path / "own").run_ids() == []
    assert list((tmp_path / "own" / "runs").iterdir()) == []


def test_parts_of_a_large_whole_are_merged_in_files(squares: Squares, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    data = open_folder(squares(COUNT))
    plain = evaluate(data, Store(tmp_path / "one"))
    stores = [Store(tmp_path / f"machine {number}", large=COUNT - 1) for number in range(1, OF + 1)]
    runs = [evaluate(data, store, Shard(number, OF)) for number, store in enumerate(stores, 1)]
    parts = [store.run_folder(run.id) for store, run in zip(stores, runs, strict=True)]
    whole = merge_parts([read_part(folder) for folder in parts], Store(tmp_path / "own", large=COUNT - 1))
    folders_of_all = [*parts, Store(tmp_path / "own").run_folder(whole.id)]
    assert [sorted(path.name for path in (folder / "cases").iterdir()) for folder in folders_of_all] == [
        ["index.json", "part-00000.parquet"]
    ] * (OF + 1)
    assert not any((folder / "cases.sqlite").exists() for folder in folders_of_all)
    assert timeless(whole.outcomes) == timeless(plain.outcomes)
    assert (whole.edges, whole.expected) == (plain.edges, plain.expected)
    assert whole.provenance["dataset_digest"] == plain.provenance["dataset_digest"]
