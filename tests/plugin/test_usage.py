"""What the user typed wrong: one line, exit code 4, before anything loads."""

import pytest

from tests.plugin.workers import WORKERS

Repository = pytest.Pytester


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(["--model=brihgt"], "unknown model 'brihgt'; did you mean 'bright'?*", id="misspelt model"),
        pytest.param(["--model=unet"], "unknown model 'unet'; known: bright, inverted*", id="unknown model"),
        pytest.param(["--model=bright,x"], "unknown model 'x'*", id="one of two unknown"),
        pytest.param(["--model="], "--segqa-model names no model; known: bright, inverted", id="no name"),
        pytest.param(
            ["--segqa-model-option=brihgt.x=1"],
            "--segqa-model-option brihgt.* names no model; did you*",
            id="option's model",
        ),
        pytest.param(["--segqa-checkpoint=brihgt=x"], "no checkpoint at 'brihgt=x'; did you mean 'bright'?", id="ckpt"),
        pytest.param(["--segqa-checkpoint=lost"], "no checkpoint at 'lost'; expected [[]NAME=]DIR", id="ckpt folder"),
        pytest.param(["--dataset=nowhere"], "no data set 'nowhere': expected a folder*", id="missing folder"),
        pytest.param(["--dataset=./sqares"], "*did you mean 'squares'*", id="misspelt folder"),
        pytest.param(["--dataset=declraed"], "*did you mean 'declared'*", id="misspelt data set"),
        pytest.param(
            ["--dataset=suites"], "no folder images/ in *suites; expected images/ and masks/ in it", id="no data"
        ),
        pytest.param(["--dataset=empty"], "no image in *empty*", id="empty folder"),
        pytest.param(["--pick=produkt"], "unknown picker 'produkt'; did you mean 'product'?*", id="unknown picker"),
        pytest.param(["--pick=zzz"], "unknown picker 'zzz'; known: agreement, box_score, *", id="no nearest picker"),
        pytest.param(
            ["--segqa-where=camra=A", "--segqa-name-pattern=(?P<camera>[AB])"],
            "no case has a tag or property 'camra'; did you mean 'camera'?",
            id="tag",
        ),
        pytest.param(
            ["--dataset=declared", "--segqa-where=tag:camra"],
            "no case has a tag 'camra'; known: none",
            id="of a declared",
        ),
        pytest.param(["--segqa-group-by=vidoe"], "no case has a tag 'vidoe' to group by; known: none", id="group"),
        pytest.param(["--pick=oracle"], "the oracle looks at the target*", id="the oracle"),
        pytest.param(["--limit=0"], "--segqa-limit must be a whole number from 1, got 0", id="no case"),
        pytest.param(["--segqa-mask-cutoff=300"], "--segqa-mask-cutoff must be *", id="cutoff"),
        pytest.param(["--segqa-name-pattern=("], "--segqa-name-pattern '(' is not a regular expression*", id="pattern"),
        pytest.param(["--segqa-model-option=cutoff=3"], "*must read NAME.KEY=VALUE, got 'cutoff=3'", id="model option"),
    ],
)
def test_a_wrong_option_ends_with_4(repository: Repository, options: list[str], message: str) -> None:
    for part in ("images", "masks"):
        (repository.path / "empty" / part).mkdir(parents=True)
    result = repository.runpytest_subprocess("suites", *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: segqa: {message}"])
    assert not (repository.path / ".segqa").exists()
    assert not (repository.path / "reports").exists()


def test_with_workers_a_wrong_option_ends_before_they_start(repository: Repository) -> None:
    result = repository.runpytest_subprocess("suites", "--pick=produkt", "-n", "2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: segqa: unknown picker 'produkt'*"])
    result.stdout.no_fnmatch_line("*workers*")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        pytest.param("modle = 'bright'", "*unknown key 'modle'; did you mean 'model'?", id="misspelt key"),
        pytest.param("model = 'brihgt'", "unknown model 'brihgt'; did you mean 'bright'?*", id="misspelt model"),
        pytest.param("[tool.segqa.thresholds]\nmean = 1", "*unknown key 'mean'*", id="misspelt threshold"),
        pytest.param(
            "[tool.segqa.thresholds.brihgt]\np05 = 0.1",
            "*names no model; did you mean 'bright'?",
            id="threshold's model",
        ),
        pytest.param("[tool.segqa.models.unet]\nx = 1", "*models.unet] names no model; *", id="options' model"),
        pytest.param(
            '[[tool.segqa.known]]\nwhere = "side=B"\nreason = "x"\nuntil = 2020-01-31\nkinds = ["eror"]',
            "[[][[]tool.segqa.known]] kinds must be one of error, *, got 'eror'",
            id="unknown kind of a known failure",
        ),
        pytest.param("[tool.segqa", "cannot read pyproject.toml*", id="no TOML"),
    ],
)
def test_a_wrong_table_ends_with_4(repository: Repository, table: str, message: str) -> None:
    _set(repository, table)
    result = repository.runpytest_subprocess("suites", "-c", "/dev/null", "--rootdir=.")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: segqa: {message}"])


def _set(repository: Repository, table: str) -> None:
    (repository.path / "pyproject.toml").write_text(f"[tool.segqa]\n{table}\n", encoding="utf-8")


def test_no_model_at_all_says_how_to_choose_one(repository: Repository) -> None:
    _set(repository, "dataset = 'squares'")
    result = repository.runpytest_subprocess("suites")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: segqa: no model chosen: --segqa-model=NAME, or model = *known: bright, inverted"]
    )


@pytest.mark.parametrize("workers", WORKERS)
def test_a_data_set_missing_by_the_table_ends_with_4(repository: Repository, workers: tuple[str, ...]) -> None:
    _set(repository, "model = 'bright'\ndataset = 'nowhere'")
    result = repository.runpytest_subprocess("suites", *workers)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "no data set 'nowhere'" in result.stdout.str() + result.stderr.str()
    assert not list(repository.path.glob(".segqa/runs/*"))


@pytest.mark.parametrize("workers", WORKERS)
def test_a_model_that_cannot_be_built_ends_with_4(repository: Repository, workers: tuple[str, ...]) -> None:
    conftest = repository.path / "conftest.py"
    text = conftest.read_text(encoding="utf-8")
    conftest.write_text(
        text + "\n\n@segqa.model\ndef lost():\n    from segqa.errors import ModelError\n"
        "    raise ModelError('no weights at x.onnx; put some there')\n",
        encoding="utf-8",
    )
    result = repository.runpytest_subprocess("suites", "--model=lost", *workers)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "segqa: no weights at x.onnx; put some there" in result.stdout.str() + result.stderr.str()


def test_a_model_cannot_take_the_name_of_a_fixture(repository: Repository) -> None:
    conftest = repository.path / "conftest.py"
    text = conftest.read_text(encoding="utf-8") + "\n\n@segqa.model\ndef evaluation():\n    return Bright()\n"
    conftest.write_text(text, encoding="utf-8")
    result = repository.runpytest_subprocess("suites")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: segqa: 'evaluation' cannot be declared: it is a fixture of segqa's; *"])


def test_an_unknown_option_of_a_model_ends_with_4(repository: Repository) -> None:
    result = repository.runpytest_subprocess("suites", "--segqa-model-option=bright.cutof=3")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["*unexpected keyword argument 'cutof'*see [[]tool.segqa.models.bright] and*"])


def test_a_test_that_asks_for_a_model_where_none_is_declared_says_how(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_x(dataset): pass")
    result = pytester.runpytest_subprocess()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["*no model is declared; mark a fixture with @segqa.model*"])
