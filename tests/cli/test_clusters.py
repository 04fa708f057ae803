from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from segqa.cli import app
from segqa.runs.run import Run
from segqa.runs.store import Store
from tests.analysis.failure_clusters.synthetic import RIGHT, WRONG, make_outcome


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    store = Store(tmp_path)
    outcomes = [make_outcome(n, {"camera": f"C{n % 4}"}, WRONG if n % 4 == 1 else RIGHT) for n in range(80)]
    for model in ("unet", "hog"):
        run = store.begin(Run(model, model, "photos", tuple(o.case_id for o in outcomes), (), "product"), "key")
        store.append(run.id, outcomes)
        store.finish(store.load(run.id), "key")
    return tmp_path


def test_clusters_are_told_with_their_cases(kept: Path) -> None:
    lines = call("clusters", "unet", "--dir", kept).output.splitlines()
    assert lines[0] == "gap: 20 of 80 cases (25.0%) have IoU below 0.05, and none between that and 0.95"
    assert lines[1].startswith("camera=C1: 100% wrong_object (20 of 20), no other case does; p < 0.0001")
    assert lines[-1] == "tried 4 + 0 + 0 rules of 1 to 3 predicates, and 199 permutations"


def test_groups_are_named_or_those_of_the_gate(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(kept)
    named = call("clusters", "unet", "--group-by", "camera", "--dir", kept)
    assert named.output.splitlines()[1:3] == ["no cluster", "note: with 4 groups nothing can be proven at alpha 0.01"]
    (kept / "pyproject.toml").write_text('[tool.segqa.gate]\ngroup_by = "camera"\n', encoding="utf-8")
    assert call("clusters", "unet", "--dir", kept).output == named.output
    assert "camera=C1: 100%" in call("clusters", "unet", "--group-by", "", "--dir", kept).output
    refused = call("clusters", "unet", "--group-by", "camra", "--dir", kept)
    assert refused.exit_code == 4
    assert "no case has a tag 'camra' to group by; did you mean 'camera'?" in refused.output


def test_one_kind_of_them_or_none(kept: Path) -> None:
    assert "no cluster" in call("clusters", "unet", "--kind", "missed", "--dir", kept).output
    refused = call("clusters", "unet", "--kind", "mised", "--dir", kept)
    assert refused.exit_code == 4
    assert "did you mean 'missed'?" in refused.output
    assert call("clusters", "unet", "--alpha", "2", "--dir", kept).exit_code == 4


def test_the_cases_that_a_condition_means_are_shown(kept: Path) -> None:
    said = call("show", "unet", "--where", "camera=C1", "--worst", "3", "--dir", kept).output
    assert "unet on photos, camera=C1: mean IoU 0.0000 (20 scored, 0 missing, 0 errors)" in said
    assert call("show", "unet", "--where", "camera=C9", "--dir", kept).exit_code == 4


def test_labels_are_judged_by_two_models(kept: Path) -> None:
    lines = call("labels", "unet", "hog", "--dir", kept).output.splitlines()
    assert len(lines) == 20
    assert lines[0] == "check the label of 00001: wrong_object under both of hog, unet"
    refused = call("labels", "unet", "--dir", kept)
    assert refused.exit_code == 4
    assert "two models or more" in refused.output
