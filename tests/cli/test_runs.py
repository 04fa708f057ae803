from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from segqa.cli import app
from segqa.runs.run import Run
from segqa.runs.store import Store
from segqa.scoring.metrics import Counts
from tests.damage import flip_bit, remove_checksums
from tests.outcomes import outcome_of


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    store = Store(tmp_path)
    for run_id in ("20260101-unet", "20260102-unet"):
        run = store.begin(Run(run_id, "unet", "photos", ("a", "b"), (), "product"), "key")
        store.append(run.id, [outcome_of(Counts(1, 1, 0, 0), "a")])
        if run.id == "20260101-unet":
            store.finish(run, "key")
    return tmp_path


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_runs_are_listed(kept: Path) -> None:
    lines = call("runs", "--dir", kept).output.splitlines()
    assert lines[0] == "20260101-unet  mean IoU 0.5000  1 scored, 1 missing, 0 errors  picked by product"
    assert lines[1].endswith("unfinished")


def test_a_damaged_run_does_not_hide_the_others(kept: Path) -> None:
    (kept / "runs" / "20260101-unet" / "run.json").write_text("{", encoding="utf-8")
    lines = call("runs", "--dir", kept).output.splitlines()
    assert "is damaged" in lines[0]
    assert lines[1].startswith("20260102-unet")


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["show", "20260101"], id="show"),
        pytest.param(["compare", "20260101", "20260102"], id="compare"),
        pytest.param(["report", "20260101"], id="report"),
        pytest.param(["pick", "20260101"], id="pick"),
        pytest.param(["selftest", "20260101"], id="selftest"),
        pytest.param(["baseline", "diff", "20260101"], id="baseline diff"),
        pytest.param(["baseline", "accept", "20260101", "--reason=so"], id="baseline accept"),
    ],
)
def test_a_damaged_run_is_refused_by_every_command(kept: Path, command: list[str]) -> None:
    flip_bit(kept / "runs" / "20260101-unet" / "cases.sqlite", b"[[null, null, 1, 1, 0, 0")
    result = call(*command, "--dir", kept)
    assert result.exit_code == 4
    assert "case 'a' does not match its checksum; evaluate again" in result.stderr


def test_a_run_of_an_earlier_version_is_shown_with_what_cannot_be_checked(kept: Path) -> None:
    remove_checksums(kept / "runs" / "20260101-unet")
    result = call("show", "20260101", "--dir", kept)
    assert result.exit_code == 0
    assert "run 20260101-unet has no checksums" in result.stderr


def test_a_damaged_order_of_runs_is_refused(kept: Path) -> None:
    flip_bit(kept / "order.json", b"20260101")
    for command in (["runs"], ["show", "20260101"]):
        result = call(*command, "--dir", kept)
        assert result.exit_code == 4
        assert "order.json is damaged" in result.stderr


def test_a_run_is_shown_by_how_its_id_begins(kept: Path) -> None:
    said = call("show", "20260102", "--dir", kept).output
    assert "unet on photos: mean IoU 0.5000 (1 scored, 1 missing, 0 errors)" in said
    assert "0.5000  merged  a" in said


@pytest.mark.parametrize(("begin", "count"), [("2026", "2 runs begin"), ("x", "no runs begin")])
def test_an_ambiguous_or_unknown_run_is_refused(kept: Path, begin: str, count: str) -> None:
    result = call("show", begin, "--dir", kept)
    assert result.exit_code == 4
    assert count in result.output


def test_an_ambiguous_run_lists_the_candidates_and_an_unknown_one_the_nearest(kept: Path) -> None:
    assert (
        "2 runs begin with '2026': 20260102-unet, 20260101-unet; give more"
        in call("show", "2026", "--dir", kept).output
    )
    assert "did you mean '20260102-unet'?" in call("compare", "20260102-untt", "--dir", kept).output
    assert "there: 20260102-unet, 20260101-unet" in call("pick", "x", "--dir", kept).output


def test_runs_are_compared(kept: Path) -> None:
    result = call("compare", "20260101", "20260102", "--format", "csv", "--dir", kept)
    lines = result.stdout.splitlines()
    assert lines[0].startswith("model,data set,picked by,cases,mean IoU")
    assert len(lines) == 3
    assert "segqa: no verdict: the format csv has none" in result.stderr
    assert "no verdict: of two runs the second is judged, got 1" in call("compare", "20260101", "--dir", kept).stderr


def test_every_picker_is_replayed(kept: Path) -> None:
    said = call("pick", "20260101", "--dir", kept).output
    assert "product (the run's)" in said
    assert "(oracle)" in said


def test_flips_to_an_unknown_picker_are_refused(kept: Path) -> None:
    result = call("pick", "20260101", "--flips", "produkt", "--dir", kept)
    assert result.exit_code == 4
    assert "did you mean 'product'" in result.output
    assert call("pick", "20260101", "--flips", "first", "--dir", kept).exit_code == 0


def keep_frames(root: Path) -> None:
    """Keep three runs over 80 frames of four videos; the second is better by chance."""
    store = Store(root)
    for run_id, gain in (("1-unet", 0), ("2-unet", 1), ("3-unet", 0)):
        outcomes = [
            outcome_of(Counts(tp, 0, 100 - tp, 200), f"{n:02}", tags={"video": f"v{n // 20}"})
            for n, tp in enumerate(80 + n % 3 + gain * (1 + n % 2 + n // 20) for n in range(80))
        ]
        ids = tuple(outcome.case_id for outcome in outcomes)
        run = store.begin(Run(run_id, "unet", "photos", ids, (), "product"), run_id)
        store.append(run.id, outcomes)
        store.finish(store.load(run_id), run_id)


def test_a_comparison_counts_groups_wherever_it_is_sure_of_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    keep_frames(tmp_path / ".segqa")
    alone, grouped = call("compare", "1", "2").output, call("compare", "1", "2", "--group-by", "video").output
    assert "unet: improved" in alone
    assert "note: cases look grouped by 'video' (4 values, 20 cases each)" in alone
    assert "the same by bootstrap" in alone
    assert "unet: inconclusive" in grouped
    assert "over 80 cases in 4 groups)" in grouped
    assert "note: with 4 groups by 'video' nothing can be proven about means" in grouped
    assert "by bootstrap" not in grouped
    intervals = [[line for line in said.splitlines() if line.startswith("90% interval")] for said in (alone, grouped)]
    assert intervals[0] != intervals[1]


def test_the_tag_of_the_settings_groups_every_table_of_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    keep_frames(tmp_path / ".segqa")
    alone = call("compare", "1", "2", "3").output
    (tmp_path / "pyproject.toml").write_text('[tool.segqa.gate]\ngroup_by = "video"\n', encoding="utf-8")
    assert call("compare", "1", "2", "3").output != alone
    assert call("compare", "1", "2", "3", "--group-by", "").output == alone
    refused = call("compare", "1", "2", "3", "--group-by", "vidoe")
    assert refused.exit_code == 4
    assert "no case has a tag 'vidoe' to group by; did you mean 'video'" in refused.output
