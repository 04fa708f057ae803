"""A model that cannot be evaluated: one line and exit code 4, not an error for each test."""

from __future__ import annotations

import pytest

Repository = pytest.Pytester

TWO = """
def test_one(evaluation): pass
def test_two(evaluation): pass
"""


def declare(repository: Repository, declarations: str) -> None:
    """Put a conftest in the place of that with two models, and two tests in the place of the suites."""
    repository.makeconftest(f"import segqa, sys\nfrom pathlib import Path\n\n\n{declarations}")
    repository.makepyprojecttoml('[tool.segqa]\nmodel = "mine"\ndataset = "squares"\n')
    for path in (repository.path / "suites").iterdir():
        path.unlink()
    (repository.path / "suites" / "test_it.py").write_text(TWO, encoding="utf-8")


MODEL = """
@segqa.model
def mine():
    class Mine:
        {attributes}
        def predict(self, images, prompts):
            {predict}

    {end}
"""
GOOD = """
class Good:
    def predict(self, images, prompts):
        return [segqa.Proposals.single(image[:, :, 0] > 100) for image in images]


@segqa.model
def good():
    return Good()
"""


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        pytest.param(
            {"end": "model = Mine()"},
            "got None: the function that builds it must end with `return model`",
            id="no return",
        ),
        pytest.param(
            {"end": "sys.exit(2)"}, "the fixture of model 'mine' called sys.exit(2); argparse does so*", id="exit"
        ),
        pytest.param(
            {"end": "import argparse; argparse.ArgumentParser().parse_args(['--unknown'])"},
            "the fixture of model 'mine' called sys.exit(2)*parse_args([[]])",
            id="argparse",
        ),
        pytest.param(
            {"attributes": "fingerprint = Path('weights.pt')"},
            "fingerprint must be a text, got PosixPath('weights.pt') of type PosixPath; write segqa.fingerprint_of*",
            id="a path as fingerprint",
        ),
        pytest.param(
            {"predict": "return [image[:, :, 0] > 100 for image in images]"},
            "predict must return a list with one segqa.Proposals an image, got a list with ndarray*single(mask)",
            id="arrays",
        ),
        pytest.param(
            {"predict": "return [segqa.Proposals.single(image[:, :, 0] / 255) for image in images]"},
            "*apply a cutoff first, such as mask > 0.5, at *conftest.py:*; no answer to the first 8 images can be used",
            id="probabilities",
        ),
        pytest.param(
            {"predict": "sys.exit(1)"}, "predict must return, but it called sys.exit(1)*", id="exit in predict"
        ),
    ],
)
def test_a_model_that_cannot_be_evaluated_ends_with_4_and_one_line(
    repository: Repository, parts: dict[str, str], message: str
) -> None:
    known = {"attributes": "", "predict": "return []", "end": "return Mine()"}
    declare(repository, MODEL.format(**{**known, **parts}))
    result = repository.runpytest("suites")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines([f"*segqa: *{message}*"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_an_error_of_a_fixture_is_shown_once(repository: Repository) -> None:
    declare(repository, "@segqa.model\ndef mine():\n    raise RuntimeError('no weights here')")
    result = repository.runpytest("suites")
    result.assert_outcomes(errors=2)
    assert str(result.stdout).count("raise RuntimeError('no weights here')") == 1
    result.stdout.fnmatch_lines(["the same error as in suites/test_it.py::test_one*: RuntimeError: no weights here"])


@pytest.mark.parametrize("end", ["pass", "if False: yield"])
def test_of_two_models_the_other_one_is_evaluated(repository: Repository, end: str) -> None:
    declare(repository, f"{GOOD}\n\n@segqa.model\ndef mine():\n    {end}\n")
    result = repository.runpytest("suites", "--segqa-model=mine,good")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.assert_outcomes(errors=2, passed=2)
    result.stdout.fnmatch_lines(["*segqa: model mine: expected a model, got None*"])
    result.stdout.no_fnmatch_line("During handling*")


def test_a_data_set_without_a_return_ends_with_4(repository: Repository) -> None:
    declare(repository, f"{GOOD}\n\n@segqa.dataset\ndef photos():\n    segqa.open_folder('squares')\n")
    result = repository.runpytest("suites", "--segqa-dataset=photos", "--segqa-model=good")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(
        ["*the fixture of data set 'photos' must end with a return of a segqa.Dataset, got No*"]
    )
