import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from segqa.data.dataset import Dataset
from segqa.data.folder import open_folder
from segqa.errors import CaseError, DatasetError, SettingsError
from tests.conftest import bright_square, write_case

Squares = Callable[[int], Path]


def test_cases_are_sorted_and_read_lazily(squares: Squares) -> None:
    folder = squares(4)
    for path in folder.glob("images/*"):
        path.write_bytes(b"not a picture")
    data = open_folder(folder)
    assert [case.id for case in data] == ["A_000", "A_002", "B_001", "B_003"]
    with pytest.raises(CaseError):
        data.cases[0].image()


def test_images_and_masks_of_different_suffixes_pair(tmp_path: Path) -> None:
    image, mask = bright_square(3)
    write_case(tmp_path, "x", image, mask, suffix=".JPG")
    (case,) = open_folder(tmp_path)
    assert case.image().shape == image.shape
    assert (case.target() == mask).all()


def test_one_spelling_of_an_accent_pairs_with_the_other(tmp_path: Path) -> None:
    write_case(tmp_path, "x", *bright_square(0))
    (tmp_path / "images" / "x.png").rename(tmp_path / "images" / unicodedata.normalize("NFD", "Zoë.png"))
    (tmp_path / "masks" / "x.png").rename(tmp_path / "masks" / unicodedata.normalize("NFC", "Zoë.png"))
    (case,) = open_folder(tmp_path)
    assert case.target().any()


def test_what_does_not_pair_is_a_case_that_says_so(squares: Squares) -> None:
    folder = squares(3)
    (folder / "masks" / "A_000.png").unlink()
    (folder / "images" / "B_001.png").unlink()
    no_mask, _, no_image = open_folder(folder)
    with pytest.raises(CaseError, match=r"image A_000\.png has no mask: expected a file of the same stem in masks/"):
        no_mask.target()
    with pytest.raises(CaseError, match=r"mask B_001\.png has no image"):
        no_image.image()


def test_two_masks_for_one_image_are_refused(squares: Squares) -> None:
    folder = squares(1)
    (folder / "masks" / "A_000.bmp").write_bytes(b"")
    (case,) = open_folder(folder)
    with pytest.raises(CaseError, match=r"2 masks for one image: A_000\.bmp, A_000\.png; keep one"):
        case.target()


def test_what_is_no_picture_is_noted(squares: Squares) -> None:
    folder = squares(1)
    (folder / "images" / "notes.txt").touch()
    (folder / "images" / ".hidden").touch()
    (folder / "masks" / "more").mkdir()
    assert open_folder(folder).notes == (
        "1 not a picture, left out: images/notes.txt",
        "1 a folder, left out (pictures stand directly in images/): masks/more/",
    )


def test_metadata_gives_tags_and_prompts(squares: Squares) -> None:
    folder = squares(2)
    rows = "\ufeffid,light,prompt\nA_000,day,the red square.\nB_001,,\n"
    (folder / "metadata.csv").write_text(rows, encoding="utf-8")
    first, second = open_folder(folder, prompt="square.")
    assert (first.tags, first.prompt) == ({"light": "day"}, "the red square.")
    assert (second.tags, second.prompt) == ({}, "square.")


def test_metadata_that_does_not_match_is_noted(squares: Squares) -> None:
    folder = squares(2)
    (folder / "metadata.csv").write_text("id,light\nA_000,day\nZ,night\n", encoding="utf-8")
    assert open_folder(folder).notes == (
        "1 in metadata.csv without image or mask: Z",
        "1 without a row in metadata.csv: B_001",
    )


def test_ids_with_a_suffix_are_recognised_for_what_they_are(squares: Squares) -> None:
    folder = squares(1)
    (folder / "metadata.csv").write_text("id,light\nA_000.png,day\n", encoding="utf-8")
    assert "(an id is a file's stem, without .png)" in open_folder(folder).notes[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("name,light\nA,day\n", "no column 'id', got name, light; known: light, name", id="no id"),
        pytest.param("ids,light\nA,day\n", "no column 'id', got ids, light; did you mean 'ids'", id="another name"),
        pytest.param("id;light\nA;day\n", "expected commas between columns, got ';'", id="semicolons"),
        pytest.param("id,light, light\nA,day,night\n", "2 columns called 'light'", id="a name twice"),
        pytest.param("id,light\n,day\n", "line 2 has no id, got day", id="a row without an id"),
        pytest.param("version https://git-lfs.github.com/spec/v1\noid x\n", "metadata.csv is a Git LFS", id="pointer"),
        pytest.param("", "no column 'id', got nothing", id="nothing"),
        pytest.param("id,light\nA\n", "line 2 has fewer cells", id="short row"),
        pytest.param("id,light\nA,day,x\n", "line 2 has more cells", id="long row"),
        pytest.param("id\nA\nA\n", "line 3 has id 'A' a second time", id="an id twice"),
        pytest.param('id\n"A\n', "cannot read", id="an open quote"),
        pytest.param("id\nZo\udceb\n", "cannot read", id="not UTF-8"),
    ],
)
def test_malformed_metadata_is_refused(squares: Squares, text: str, message: str) -> None:
    folder = squares(1)
    (folder / "metadata.csv").write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(DatasetError, match=message):
        open_folder(folder)


def test_metadata_of_pandas_and_of_spreadsheets_is_read(squares: Squares) -> None:
    folder = squares(2)
    rows = ",Unnamed: 0, id , light \n0,0,A_000, day\n1,1, B_001 ,night \n\n,,,\n ,, ,\n"
    (folder / "metadata.csv").write_text(rows, encoding="utf-8")
    data = open_folder(folder)
    assert [dict(case.tags) for case in data] == [{"light": "day"}, {"light": "night"}]
    assert data.notes == (
        "metadata.csv: column 1 has no name, left out",
        "metadata.csv: column 2 has no name, left out",
    )


def test_a_name_pattern_gives_tags(squares: Squares) -> None:
    folder = squares(2)
    data = open_folder(folder, name_pattern=r"^(?P<row>A)_(?P<number>\d+)")
    assert [dict(case.tags) for case in data] == [{"row": "A", "number": "000"}, {}]
    assert data.notes == ("1 with a name that the name pattern does not match: B_001",)


def test_metadata_wins_over_the_name_pattern(squares: Squares) -> None:
    folder = squares(1)
    (folder / "metadata.csv").write_text("id,row\nA_000,first\n", encoding="utf-8")
    (case,) = open_folder(folder, name_pattern="(?P<row>A)")
    assert case.tags == {"row": "first"}


@pytest.mark.parametrize(("pattern", "message"), [("(", "not a regular expression"), ("C2", "no named group")])
def test_a_useless_name_pattern_is_refused(squares: Squares, pattern: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        open_folder(squares(1), name_pattern=pattern)


def test_missing_and_empty_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="data set not found"):
        open_folder(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="no folder images/"):
        open_folder(tmp_path)
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    with pytest.raises(DatasetError, match=r"no image in .*; expected \.bmp, .* files$"):
        open_folder(tmp_path)
    (tmp_path / "images" / "day").mkdir()
    with pytest.raises(DatasetError, match=r"files directly in it, got the folders day/: move their files up"):
        open_folder(tmp_path)
    (tmp_path / "images" / "a.png").touch()
    with pytest.raises(DatasetError, match=r"no mask in .*/masks; expected"):
        open_folder(tmp_path)
    (tmp_path / "masks" / "a.gif").touch()
    with pytest.raises(DatasetError, match=r"files, got a\.gif: convert them to PNG"):
        open_folder(tmp_path)


def test_a_limit_takes_the_same_fair_part_each_time(squares: Squares) -> None:
    data = open_folder(squares(20))
    some = data.limit(6)
    assert [case.id for case in some] == [case.id for case in data.limit(6)]
    assert [case.id for case in some] == sorted(case.id for case in some)
    assert [case.id for case in some] != [case.id for case in data][:6]
    assert len(data.limit(99)) == 20


def test_the_stamp_changes_with_any_file(squares: Squares) -> None:
    folder = squares(2)
    before = open_folder(folder).stamp()
    assert open_folder(folder).stamp() == before
    write_case(folder, "A_000", *bright_square(9))
    assert open_folder(folder).stamp() != before


def test_ids_must_be_unique(squares: Squares) -> None:
    (case,) = open_folder(squares(1))
    with pytest.raises(DatasetError, match="1 id twice, such as 'A_000'"):
        Dataset.from_cases("x", [case, case])


def test_real_photos_are_listed_with_their_tags(ccp: Path) -> None:
    data = open_folder(ccp)
    assert len(data) == 804
    assert data.notes == ()
    assert data.cases[0].tags["lower"] == "skirt"


def test_a_tag_called_id_is_refused(squares: Squares) -> None:
    with pytest.raises(SettingsError, match="has a group called id"):
        open_folder(squares(2), name_pattern=r"_(?P<id>\d+)")
    with pytest.raises(DatasetError, match="has a tag called id"):
        Dataset.from_cases("x", [replace(case, tags={"id": "1"}) for case in open_folder(squares(2))])
