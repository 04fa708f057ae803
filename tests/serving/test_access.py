from pathlib import Path

import pytest

from segqa.errors import SettingsError
from tests.serving.conftest import Bright, Serve, make_png

WORD = "sesame"


@pytest.mark.parametrize("given", [None, "Bearer", "Bearer wrong", "bearer sesame", "sesame", "Bearer sesame2"])
def test_without_the_token_nothing_but_the_health_is_told(serve: Serve, given: str | None) -> None:
    import httpx

    url = serve(Bright(), token=WORD)
    headers = {"Authorization": given} if given else {}
    answer = httpx.post(f"{url}/predict", content=make_png(), headers=headers)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert set(answer.json()) == {"error", "expected", "got", "do"}
    assert {httpx.get(f"{url}/{path}").status_code for path in ("model", "metrics", "docs", "x")} == {401}
    assert httpx.get(f"{url}/health").status_code == 200


def test_with_the_token_everything_is(serve: Serve) -> None:
    import httpx

    url = serve(Bright(), token=WORD)
    headers = {"Authorization": f"Bearer {WORD}"}
    assert httpx.post(f"{url}/predict", content=make_png(), headers=headers).status_code == 200
    assert httpx.get(f"{url}/model", headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["health", "model", "metrics", "docs", "predict"])
@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "", "[::1"])
def test_without_a_token_a_foreign_host_is_told_nothing(serve: Serve, host: str, path: str) -> None:
    import httpx

    answer = httpx.get(f"{serve(Bright())}/{path}", headers={"Host": host})
    assert answer.status_code == 421
    assert "--allow-host" in answer.json()["do"]
    assert repr(host) in answer.json()["got"]


def test_without_a_token_a_page_from_elsewhere_cannot_ask(serve: Serve) -> None:
    import httpx

    url = serve(model := Bright())
    for origin in ("https://evil.example", "null", "http://203.0.113.5"):
        assert httpx.post(f"{url}/predict", content=make_png(), headers={"Origin": origin}).status_code == 421
    assert not model.calls
    for origin in (url, "http://localhost:3000"):
        assert httpx.post(f"{url}/predict", content=make_png(), headers={"Origin": origin}).status_code == 200


@pytest.mark.parametrize("host", ["localhost:80", "LOCALHOST.", "127.0.0.1", "[::1]:8000", "192.0.2.7", "lab.example"])
def test_this_machine_and_allowed_names_are_answered(serve: Serve, host: str) -> None:
    import httpx

    url = serve(Bright(), hosts=["Lab.example"])
    assert httpx.get(f"{url}/model", headers={"Host": host}).status_code == 200


def test_a_token_is_needed_under_any_name(serve: Serve) -> None:
    import httpx

    url = serve(Bright(), token=WORD)
    headers = {"Host": "lab.example", "Origin": "https://lab.example", "Authorization": f"Bearer {WORD}"}
    assert httpx.get(f"{url}/model", headers=headers).status_code == 200


def test_a_token_is_read_from_a_variable_or_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("fastapi", reason="serving needs segqa[serve]")
    from segqa.serving.access import read_token

    (tmp_path / "token").write_text("from a file\n", encoding="utf-8")
    monkeypatch.setenv("TOKEN", "from a variable")
    assert read_token("TOKEN", None) == "from a variable"
    assert read_token("", tmp_path / "token") == "from a file"
    assert not read_token("", None)


@pytest.mark.parametrize(("variable", "file"), [("NOT_SET", None), ("", Path("empty")), ("A", Path("b"))])
def test_a_token_that_is_none_does_not_open_the_door(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, file: Path | None
) -> None:
    pytest.importorskip("fastapi", reason="serving needs segqa[serve]")
    from segqa.serving.access import read_token

    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").write_text(" \n", encoding="utf-8")
    with pytest.raises(SettingsError, match="token"):
        read_token(variable, file)
