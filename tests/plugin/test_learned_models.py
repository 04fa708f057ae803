"""The learned models of the starter's fixtures, from the command line to the verdict, on tiny networks."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from segqa.cli import app
from segqa.runs.store import Store
from tests.conftest import bright_square, write_case

Repository = pytest.Pytester


@pytest.fixture
def started(pytester: pytest.Pytester) -> pytest.Pytester:
    """What `segqa init` makes, and twelve squares."""
    assert CliRunner().invoke(app, ["init", str(pytester.path)]).exit_code == 0
    for index in range(12):
        write_case(pytester.path / "squares", f"{index:02}", *bright_square(index))
    return pytester


def run(repository: Repository, *options: str) -> pytest.RunResult:
    return repository.runpytest_subprocess(
        "suites/test_quality.py", "-k", "error_budget", "--dataset=squares", *options
    )


def train(repository: Repository, name: str, *options: str) -> Path:
    out = repository.path / "weights" / name
    command = Path(sys.executable).with_name("segqa")
    where = ["--dataset", str(repository.path / "squares"), "--out", str(out)]
    assert repository.run(command, "train", name, *where, "--epochs=1", "--size=64", "--threads=1", *options).ret == 0
    return out


def test_what_was_trained_is_evaluated_and_compared_on_the_held_out_part(started: Repository) -> None:
    unet = train(started, "unet", "--width=8")
    resnet = train(started, "resnet34", "--encoder=resnet18", "--encoder-weights=none")
    checkpoints = [f"--segqa-checkpoint=unet={unet}", f"--segqa-checkpoint=resnet34={resnet}"]
    result = run(started, "--model=unet,resnet34", "--segqa-held-out", *checkpoints)
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["unet on squares: mean IoU * (3 scored,*", "resnet34 on squares: mean IoU * (3 scored,*"]
    )
    (report,) = started.path.glob("reports/*/report.html")
    assert "Side by side" in report.read_text(encoding="utf-8")


def test_an_exported_network_is_evaluated_beside_its_own_in_int8(started: Repository, exported_unet: Path) -> None:
    options = ["--model=unet,unet+int8", f"--segqa-checkpoint=unet={exported_unet}"]
    options += ["--segqa-model-option=unet.runtime=onnx", "--segqa-update-baseline", "--segqa-allow-dirty"]
    result = run(started, *options)
    assert result.ret == 0, result.stdout.str()
    result.stdout.fnmatch_lines(["unet on squares: mean IoU *", "unet+int8 on squares: mean IoU *"])
    names = {path.name for path in started.path.glob("baselines/squares/*")}
    assert names >= {"unet.jsonl", "unet+int8.jsonl"}


@pytest.mark.parametrize("name", ["unet", "resnet34"])
def test_without_a_checkpoint_it_says_how_to_get_one(started: Repository, name: str) -> None:
    result = run(started, f"--model={name}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(
        [f"*{name}: no checkpoint given; train one (segqa train {name} --dataset DIR --out DIR)*"]
    )


def test_langsam_evaluates_with_folders_in_place_of_names(
    started: Repository, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from tests.models.tiny_models import save_tiny_grounding_dino, save_tiny_sam2

    folder = tmp_path_factory.mktemp("tiny")
    detector, segmenter = save_tiny_grounding_dino(folder / "dino"), save_tiny_sam2(folder / "sam2")
    with (started.path / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write(
            f"\n[tool.segqa.models.langsam]\ndetector = '{detector}'\nsegmenter = '{segmenter}'\nbox_cutoff = 0.01\n"
        )
    result = run(started, "--model=langsam", "--limit=3", "--prompt=Person")
    assert result.ret == 0, result.stdout.str()
    store = Store(started.path / ".segqa")
    outcomes = store.load(store.run_ids()[0]).outcomes
    assert len(outcomes) == 3
    assert sum(len(outcome.proposal_scores) for outcome in outcomes) > 0


def test_an_unknown_backend_of_langsam_is_refused(started: Repository) -> None:
    result = run(started, "--model=langsam", "--segqa-model-option=langsam.backend=lansgam")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(['*langsam: backend must be "transformers" or "lang_sam", got \'lansgam\'*'])
