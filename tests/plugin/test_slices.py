"""Conditions, slices, clusters and known failures, as they are used from the command line and in tests."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.plugin.workers import MOSTLY_ONE

Repository = pytest.Pytester


# In the pictures of camera B a second, larger bright square stands beside the first, and is picked.
MANNEQUIN = '''

class Two:
    """Offers the square and, for camera B, something else with a better mask score."""

    fingerprint = "two"

    def predict(self, images, prompts):
        answers = []
        for image in images:
            right = image[:, :, 0] == 200
            other = image[:, :, 0] == 180
            masks = np.stack([right, other]) if other.any() else right[None]
            scores = np.array([0.8, 0.9][: len(masks)])
            answers.append(Proposals(masks, scores, scores, np.zeros((len(masks), 4))))
        return answers


@segqa.model
def two():
    return Two()


@segqa.model
def again():
    return Two()
'''


@pytest.fixture
def studio(repository: Repository) -> Repository:
    """The repository, with 40 cases of two cameras, in one of which a model picks something else."""
    from tests.conftest import bright_square, write_case

    for index in range(40):
        image, mask = bright_square(index)
        if index % 4 == 1:
            image = image.copy()
            image[~mask & (image[:, :, 0] == 30)] = 180
        write_case(repository.path / "photos", f"{'ABAA'[index % 4]}_{index:03}", image, mask)
    conftest = repository.path / "conftest.py"
    conftest.write_text(conftest.read_text(encoding="utf-8") + MANNEQUIN, encoding="utf-8")
    return repository


PHOTOS = ("--model=two", "--dataset=photos", "--segqa-name-pattern=(?P<camera>[AB])_")


def settings(repository: Repository, text: str) -> None:
    path = repository.path / "pyproject.toml"
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


@pytest.mark.parametrize("workers", MOSTLY_ONE)
def test_a_cluster_of_false_positives_fails_with_its_rule(studio: Repository, workers: tuple[str, ...]) -> None:
    result = studio.runpytest_subprocess("suites/test_slices.py", *PHOTOS, *workers)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "E *camera=B: 100% wrong_object (10 of 10), no other case does, 10 of 10 recoverable by another pick*",
            "E *0.0000  wrong_object  B_001  (proposal 0 has 1.0000)",
            "E *… and 5 more",
            "E *just these: pytest *suites/test_slices.py --model=two * --segqa-where camera=B",
            "*gap: 10 of 40 cases (25.0%) have IoU below 0.05, and none between that and 0.95",
            "*cluster camera=B: 100% wrong_object*",
        ]
    )


@pytest.mark.parametrize("workers", MOSTLY_ONE)
def test_clusters_take_the_groups_of_the_gate(studio: Repository, workers: tuple[str, ...]) -> None:
    photos = (*PHOTOS[:2], r"--segqa-name-pattern=(?P<camera>[AB])_0(?P<video>\d)")
    result = studio.runpytest_subprocess("suites/test_slices.py", *photos)
    assert result.ret == 1
    look = (
        "camera=B: 100% wrong_object (10 of 10), *; p < 0.0001 if cases are independent; they look grouped by 'video'"
    )
    result.stdout.fnmatch_lines([f"E *{look}", f"*cluster {look}", "*clusters: cases look grouped by 'video' *"])
    settings(studio, '\n[tool.segqa.gate]\ngroup_by = "video"\n')
    result = studio.runpytest_subprocess("suites/test_slices.py", "-k", "cluster", *photos, *workers)
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*clusters: with 4 groups nothing can be proven at alpha 0.01"])
    (folder,) = [
        path.parent for path in studio.path.glob("reports/*/index.html") if "with 4 groups" in path.read_text()
    ]
    assert "nothing can be proven" in (folder / "verdict.json").read_text(encoding="utf-8")
    settings_file = studio.path / "pyproject.toml"
    settings_file.write_text(settings_file.read_text(encoding="utf-8").replace('"video"', '"index"'), encoding="utf-8")
    result = studio.runpytest("suites/test_slices.py", *photos)
    result.stdout.fnmatch_lines(["*clusters of two on photos count cases as independent: no case has the tag 'index'*"])
    assert result.ret == 1


def test_the_command_of_a_finding_evaluates_just_its_cases(studio: Repository) -> None:
    result = studio.runpytest("suites/test_quality.py", *PHOTOS, "--segqa-where", "camera=B and brightness=bright")
    result.stdout.fnmatch_lines(["*note: only the * of 40 cases that camera=B and brightness=bright means"])
    (folder,) = (studio.path / ".segqa" / "runs").iterdir()
    header = json.loads((folder / "run.json").read_text(encoding="utf-8"))["run"]
    assert header["provenance"]["options"]["where"] == "camera=B and brightness=bright"
    assert header["edges"]["brightness"]


@pytest.mark.parametrize(
    ("condition", "problem"),
    [
        ("camera", "expected '=' or another comparison, got the end"),
        ("camra=B", "no case has a tag or property 'camra'; did you mean 'camera'?"),
        ("camera=C", "no case has camera=C; known: A, B"),
        ("proposals=2", "*only a run knows*"),
    ],
)
def test_a_condition_that_means_nothing_ends_with_4(studio: Repository, condition: str, problem: str) -> None:
    result = studio.runpytest("suites", *PHOTOS, "--segqa-where", condition)
    assert result.ret == 4
    assert any(problem.strip("*") in line for line in [*result.outlines, *result.errlines])


def test_a_marked_test_sees_its_slice_alone(studio: Repository) -> None:
    studio.makepyfile(
        test_own="""
        import pytest

        @pytest.mark.segqa_slice("the other one", where="camera=A")
        def test_a(evaluation, clusters):
            assert len(evaluation.outcomes) == 30
            assert evaluation.mean_iou == 1
            assert not len(clusters)

        @pytest.mark.segqa_slice("mannequin", where="camera=B")
        def test_b(evaluation):
            assert evaluation.mean_iou >= 0.9
        """
    )
    result = studio.runpytest("test_own.py", *PHOTOS, "--strict-markers")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["E * mean IoU in mannequin 0.0000 is below 0.9000", "E *just these: * --segqa-where camera=B"]
    )


def test_a_slice_with_too_few_cases_is_a_skip(studio: Repository) -> None:
    studio.makepyfile(
        test_own="""
        import pytest

        @pytest.mark.segqa_slice("mannequin", where="camera=B", min_cases=20)
        def test_b(evaluation):
            assert False
        """
    )
    result = studio.runpytest("test_own.py", *PHOTOS, "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*slice 'mannequin' (camera=B) has 10 cases, fewer than 20"])


def test_a_slice_that_a_part_does_not_have_is_a_skip(studio: Repository) -> None:
    studio.makepyfile(
        test_own="""
        import pytest

        @pytest.mark.segqa_slice("a", where="camera=A")
        def test_a(evaluation):
            assert False
        """
    )
    studio.runpytest("test_own.py", *PHOTOS, "--segqa-where=camera=B").assert_outcomes(skipped=1)


def test_a_fixture_that_outlives_a_test_sees_the_whole_run(studio: Repository) -> None:
    studio.makepyfile(
        test_own="""
        import pytest

        @pytest.fixture(scope="module")
        def count(whole_run):
            return len(whole_run.outcomes)

        @pytest.mark.segqa_slice("b", where="camera=B")
        def test_b(count, evaluation):
            assert (count, len(evaluation.outcomes)) == (40, 10)
        """
    )
    studio.runpytest("test_own.py", *PHOTOS).assert_outcomes(passed=1)


def test_a_part_is_cut_as_the_whole_or_not_at_all(studio: Repository) -> None:
    studio.runpytest("suites/test_quality.py", *PHOTOS, "--segqa-where=camera=A")
    (folder,) = (studio.path / ".segqa" / "runs").iterdir()
    header = json.loads((folder / "run.json").read_text(encoding="utf-8"))["run"]
    assert set(header["edges"]) == {"proposals"}


def test_a_slice_of_an_unknown_tag_is_an_error(studio: Repository) -> None:
    studio.makepyfile(
        test_own="""
        import pytest

        @pytest.mark.segqa_slice("mannequin", where="camra=B")
        def test_b(evaluation):
            pass
        """
    )
    result = studio.runpytest("test_own.py", *PHOTOS)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*slice 'mannequin': no case has a tag or property 'camra'; did you mean 'camera'?"])


@pytest.mark.parametrize("workers", MOSTLY_ONE)
@pytest.mark.parametrize("mark", ['"x"', '"x", where="camera"', '"x", where="a=1", cases=3', '"", where="a=1"'])
def test_a_marker_that_says_nothing_is_refused_at_once(studio: Repository, mark: str, workers: tuple[str, ...]) -> None:
    studio.makepyfile(
        test_own=f"""
        import pytest

        @pytest.mark.segqa_slice({mark})
        def test_b(evaluation):
            pass
        """
    )
    result = studio.runpytest_subprocess("test_own.py", *PHOTOS, *workers)
    assert result.ret == 4
    assert any("test_own.py::test_b" in line for line in [*result.outlines, *result.errlines])
    assert not (studio.path / ".segqa" / "runs").exists()


UNTIL = (date.today() + timedelta(days=100)).isoformat()  # noqa: DTZ011
KNOWN = """
[[tool.segqa.known]]
where = "camera=B"
reason = "the mannequin"
until = {until}
"""


@pytest.mark.parametrize("workers", MOSTLY_ONE)
def test_a_known_failure_is_expected_until_its_day(studio: Repository, workers: tuple[str, ...]) -> None:
    settings(studio, KNOWN.format(until=UNTIL))
    result = studio.runpytest_subprocess("suites", *PHOTOS, "-rx", *workers)
    outcomes = result.parseoutcomes()
    assert outcomes.get("failed", 0) == 0
    assert outcomes["xfailed"] == 4
    assert result.ret == 0
    result.stdout.fnmatch_lines([f"XFAIL suites/test_slices.py::*known until {UNTIL}: the mannequin (camera=B)*"])


def test_after_its_day_a_known_failure_fails_again(studio: Repository) -> None:
    settings(studio, KNOWN.format(until='"2001-01-01"'))
    result = studio.runpytest("suites/test_slices.py", *PHOTOS)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*known until 2001-01-01, which has passed: the mannequin (camera=B)"])


def test_a_known_failure_that_means_no_case_is_said_so(studio: Repository) -> None:
    settings(studio, KNOWN.format(until=UNTIL).replace("camera=B", "camra=B"))
    result = studio.runpytest("suites/test_slices.py", *PHOTOS)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*the known failure 'camra=B' means no case: *did you mean 'camera'?"])


@pytest.mark.parametrize(
    ("where", "problem"),
    [
        ("camra=B", "no case has a tag or property 'camra'; did you mean 'camera'?"),
        ("camera=Q", "no case has camera=Q; *"),
        ("id=B01 or id=nowhere", "no case has id=*"),
    ],
)
def test_a_misspelt_known_failure_is_one_warning_of_a_session_that_passes(
    studio: Repository, where: str, problem: str
) -> None:
    settings(studio, KNOWN.format(until=UNTIL).replace("camera=B", where))
    result = studio.runpytest("suites/test_quality.py", *PHOTOS, "-k", "error_budget or hallucinated")
    result.assert_outcomes(passed=2, deselected=4)
    warning = f"warning: segqa: the known failure '{where}' means no case: {problem}"
    result.stdout.fnmatch_lines([warning])
    assert result.stdout.str().count("means no case") == 1


def test_a_known_failure_outside_the_part_that_is_evaluated_is_no_warning(studio: Repository) -> None:
    settings(studio, KNOWN.format(until=UNTIL))
    result = studio.runpytest("suites/test_quality.py", *PHOTOS, "--segqa-where=camera=A", "-k", "error_budget")
    result.assert_outcomes(passed=1, deselected=5)
    assert "means no case" not in result.stdout.str()


def test_known_failures_that_mean_most_cases_excuse_nothing(studio: Repository) -> None:
    settings(studio, KNOWN.format(until=UNTIL) + KNOWN.format(until=UNTIL).replace("=B", "=A"))
    (studio.path / "suites" / "test_own.py").write_text(
        "def test_own(evaluation):\n    assert len(evaluation.failures()) < 5\n", encoding="utf-8"
    )
    studio.runpytest("suites/test_own.py", *PHOTOS).assert_outcomes(xfailed=1)
    settings(studio, KNOWN.format(until=UNTIL).replace("camera=B", "camera=A or camera=B"))
    result = studio.runpytest("suites/test_own.py", *PHOTOS)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the known failures mean 40 of 40 cases (camera=B; camera=A or camera=B), so *"])


def test_where_no_case_is_left_nothing_holds(studio: Repository) -> None:
    settings(studio, KNOWN.format(until=UNTIL))
    studio.runpytest("suites/test_quality.py", *PHOTOS, "--segqa-where=camera=B").assert_outcomes(failed=2, passed=4)


def test_a_slice_may_fail_by_known_cases_alone(studio: Repository) -> None:
    settings(studio, KNOWN.format(until=UNTIL))
    own = """
    import pytest

    @pytest.mark.segqa_slice("mannequin", where="camera=B")
    def test_b(evaluation):
        assert evaluation.mean_iou >= 0.9
    """
    studio.makepyfile(test_own=own)
    result = studio.runpytest("test_own.py", *PHOTOS)
    result.assert_outcomes(xfailed=1)
    result.stdout.fnmatch_lines(["*warning: segqa: 10 failing cases of two on photos, * are left out: known until *"])


@pytest.mark.parametrize(("kinds", "outcome"), [("", "failed"), ('kinds = ["error"]', "xfailed")])
def test_an_error_is_excused_by_a_known_failure_that_names_it(studio: Repository, kinds: str, outcome: str) -> None:
    for path in (studio.path / "photos" / "images").glob("B_*.png"):
        path.write_bytes(b"no image")
    settings(studio, KNOWN.format(until=UNTIL) + kinds)
    studio.runpytest("suites/test_quality.py", *PHOTOS, "-k", "error").assert_outcomes(**{outcome: 1})


@pytest.mark.filterwarnings("ignore")
def test_a_coroutine_is_not_excused(studio: Repository) -> None:
    settings(studio, KNOWN.format(until=UNTIL))
    studio.makepyfile(
        test_own="""
        import pytest

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        @pytest.mark.anyio
        async def test_own(evaluation):
            assert evaluation.slice("camera", "A").mean_iou > 1
        """
    )
    studio.runpytest("test_own.py", *PHOTOS).assert_outcomes(failed=1)


def test_known_cases_that_passed_excuse_nothing(studio: Repository) -> None:
    settings(studio, KNOWN.format(until=UNTIL).replace("camera=B", "camera=A"))
    studio.makepyfile(test_own="def test_own(evaluation, least=11):\n    assert len(evaluation.failures()) > least\n")
    studio.runpytest("test_own.py", *PHOTOS).assert_outcomes(failed=1)


def test_a_known_failure_excuses_no_other(studio: Repository) -> None:
    settings(studio, KNOWN.format(until=UNTIL))
    studio.makepyfile(test_own="def test_own(evaluation):\n    assert evaluation.slice('camera', 'A').mean_iou > 1\n")
    studio.runpytest("test_own.py", *PHOTOS).assert_outcomes(failed=1)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('where = "camera=B"\nreason = "x"', "needs where, reason and until, got no until"),
        ('where = "camera"\nreason = "x"\nuntil = 2001-01-01', "expected '=' or another comparison"),
        ('where = "camera=B"\nreason = "x"\nuntil = "soon"', "must be a day such as 2027-01-31, got 'soon'"),
        ('were = "camera=B"', "unknown key 'were'; did you mean 'where'?"),
    ],
)
def test_a_known_failure_that_makes_no_sense_ends_with_4(studio: Repository, text: str, problem: str) -> None:
    settings(studio, f"\n[[tool.segqa.known]]\n{text}\n")
    result = studio.runpytest("suites", *PHOTOS)
    assert result.ret == 4
    assert any(problem in line for line in [*result.outlines, *result.errlines])


def test_the_report_shows_the_cluster_and_its_pictures(studio: Repository) -> None:
    studio.runpytest("suites/test_slices.py", *PHOTOS)
    (page,) = studio.path.glob("reports/*/index.html")
    text = page.read_text(encoding="utf-8")
    assert "What the failures have in common" in text
    assert text.count("error map of B_0") >= 6


def test_a_label_is_suspected_by_models_evaluated_one_after_the_other(studio: Repository) -> None:
    studio.runpytest("suites/test_quality.py", *PHOTOS)
    studio.runpytest("suites/test_quality.py", "--model=again", *PHOTOS[1:])
    result = studio.runpytest("suites/test_quality.py", *PHOTOS)
    result.stdout.fnmatch_lines(["check the label of B_001: wrong_object under both of again, two"])
    assert Path(studio.path / "reports").exists()
