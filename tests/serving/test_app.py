import re
from io import BytesIO

import numpy as np
import pytest
from PIL import Image as Pillow

from segqa.data.rle import decode_mask
from tests.serving.conftest import Bright, Broken, Serve, make_png

RIGHT_HALF = np.arange(8)[None].repeat(6, axis=0) >= 4


def test_an_image_is_answered_with_the_picked_mask(serve: Serve) -> None:
    import httpx

    answer = httpx.post(f"{serve(Bright())}/predict", content=make_png()).json()
    [prediction] = answer["predictions"]
    assert (answer["model"], answer["fingerprint"]) == ("bright", "bright-1")
    assert (prediction["picked"], prediction["mask_score"], prediction["box_score"]) == (0, 0.5, 1 / 3)
    assert np.array_equal(decode_mask(prediction["mask"]["counts"], (6, 8)), RIGHT_HALF)
    assert prediction["mask"]["size"] == [6, 8]
    assert "proposals" not in prediction


def test_as_png_the_mask_is_white_where_the_object_is(serve: Serve) -> None:
    import httpx

    answer = httpx.post(f"{serve(Bright())}/predict", content=make_png(), headers={"Accept": "image/png"})
    assert answer.headers["content-type"] == "image/png"
    assert np.array_equal(np.array(Pillow.open(BytesIO(answer.content))), RIGHT_HALF)


def test_the_request_says_what_to_segment_and_how_to_pick(serve: Serve) -> None:
    import httpx

    model = Bright()
    answer = httpx.post(
        f"{serve(model)}/predict", params={"prompt": "a dancer.", "pick": "mask_score"}, content=make_png()
    ).json()
    assert model.calls == [(1, "a dancer.")]
    assert answer["predictions"][0]["picked"] == 1


def test_all_proposals_come_if_so_asked_and_an_unknown_score_is_null(serve: Serve) -> None:
    import httpx

    answer = httpx.post(f"{serve(Bright())}/predict?proposals=true", content=make_png()).json()
    first, second = answer["predictions"][0]["proposals"]
    assert (first["mask_score"], first["box_score"], first["box"]) == (0.5, 1 / 3, [0, 0, 8, 6])
    assert second["box_score"] is None
    assert not decode_mask(second["mask"]["counts"], (6, 8)).any()


def test_several_images_come_as_the_files_of_a_form_and_keep_their_order(serve: Serve) -> None:
    import httpx

    model = Bright()
    files = [("image", make_png(shape=shape)) for shape in ((6, 8), (4, 10), (3, 2))]
    answer = httpx.post(f"{serve(model)}/predict", files=files).json()
    assert [each["mask"]["size"] for each in answer["predictions"]] == [[6, 8], [4, 10], [3, 2]]
    # on a CPU one by one
    assert model.calls == [(1, "person.")] * 3


def test_the_card_says_which_model_this_is(serve: Serve) -> None:
    import httpx

    card = httpx.get(f"{serve(Bright(), queue=3)}/model").json()
    assert (card["name"], card["fingerprint"], card["pick"]) == ("bright", "bright-1", "product")
    assert card["limits"]["queue"] == 3
    assert "numpy" in card["versions"]
    assert "agreement" in card["pickers"]


def test_what_is_counted_can_be_read_by_prometheus(serve: Serve) -> None:
    import httpx
    from prometheus_client.parser import text_string_to_metric_families as families

    url = serve(Bright())
    httpx.post(f"{url}/predict", content=make_png())
    for index in range(5):
        httpx.get(f"{url}/nonsense/{index}")
    text = httpx.get(f"{url}/metrics").text
    found = {
        (sample.name, *sample.labels.values()): sample.value for family in families(text) for sample in family.samples
    }
    assert found["segqa_requests_total", "/predict", "200"] == 1
    assert found["segqa_requests_total", "other", "404"] == 5
    assert found["segqa_request_seconds_count", "/predict"] == 1
    assert found[("segqa_queue_length",)] == found[("segqa_in_flight",)] == 0


def test_the_api_describes_itself(serve: Serve) -> None:
    import httpx

    url = serve(Bright())
    paths = httpx.get(f"{url}/openapi.json").json()["paths"]
    assert set(paths) == {"/predict", "/health", "/model", "/metrics"}
    assert {"image/png", "multipart/form-data"} <= set(paths["/predict"]["post"]["requestBody"]["content"])
    assert set(paths["/metrics"]["get"]["responses"]["200"]["content"]) == {"text/plain"}
    assert {"200", "413", "503"} <= set(paths["/predict"]["post"]["responses"])
    assert httpx.get(f"{url}/docs").status_code == 200


def test_every_reference_in_the_api_description_resolves(serve: Serve) -> None:
    import httpx

    description = httpx.get(f"{serve(Bright())}/openapi.json")
    used = set(re.findall(r'"\$ref":"#/components/schemas/(\w+)"', description.text))
    assert "ErrorDetail" in used
    assert used <= set(description.json()["components"]["schemas"])


@pytest.mark.parametrize(
    ("query", "body", "headers", "status", "said"),
    [
        pytest.param("?pikc=first", make_png(), {}, 422, "did you mean 'pick'?", id="misspelt"),
        pytest.param("?pick=oracle", make_png(), {}, 422, "a picker: mask_score", id="picker"),
        pytest.param("?pick=first&pick=agreement", make_png(), {}, 422, "expected one pick, got several", id="twice"),
        pytest.param("?pick=", make_png(), {}, 422, "a picker: mask_score", id="no picker"),
        pytest.param("?proposals=perhaps", make_png(), {}, 422, "proposals='perhaps'", id="not a flag"),
        pytest.param(f"?prompt={'x' * 1001}", make_png(), {}, 422, "at most 1000 characters", id="long prompt"),
        pytest.param("", b"", {}, 400, "expected an image, got nothing", id="nothing"),
        pytest.param("", b"GIF89a", {}, 422, "image 1 is not a PNG", id="no picture"),
        pytest.param("", make_png(shape=(300, 400))[:200], {}, 422, "cannot read image 1", id="truncated"),
        pytest.param("", make_png(), {"Content-Type": "text/html"}, 415, "'text/html'", id="type"),
        pytest.param("", make_png(), {"Accept": "text/html"}, 406, "'text/html'", id="accept"),
        pytest.param("", b"x", {"Content-Type": "multipart/form-data"}, 400, "boundary", id="no boundary"),
    ],
)
def test_bad_input_is_told_what_was_expected_what_came_and_what_to_do(
    serve: Serve, query: str, body: bytes, headers: dict[str, str], status: int, said: str
) -> None:
    import httpx

    answer = httpx.post(f"{serve(Bright())}/predict{query}", content=body, headers=headers)
    told = answer.json()
    assert answer.status_code == status
    assert set(told) == {"error", "expected", "got", "do"}
    assert said in f"expected {told['expected']}, got {told['got']}; {told['do']}"


def test_a_field_that_is_not_looked_at_is_refused(serve: Serve) -> None:
    import httpx

    answer = httpx.post(f"{serve(Bright())}/predict", files={"image": make_png()}, data={"prompt": "dog."})
    assert (answer.status_code, answer.json()["got"]) == (400, "the field 'prompt'")


@pytest.mark.parametrize("name", ["file", "images", "Image", ""])
def test_a_file_in_another_field_is_refused_and_the_right_name_is_said(serve: Serve, name: str) -> None:
    import httpx

    model = Bright()
    answer = httpx.post(f"{serve(model)}/predict", files=[("image", make_png()), (name, make_png())])
    assert (answer.status_code, model.calls) == (400, [])
    assert "'image'" in answer.json()["expected"]
    if name:
        assert (answer.json()["got"], answer.json()["do"]) == (f"a file in the field {name!r}", "name the field image")


def test_text_in_place_of_the_file_is_refused(serve: Serve) -> None:
    import httpx

    form = {"Content-Type": "multipart/form-data; boundary=x"}
    body = b'--x\r\nContent-Disposition: form-data; name="image"\r\n\r\nphoto.jpg\r\n--x--\r\n'
    answer = httpx.post(f"{serve(Bright())}/predict", content=body, headers=form)
    assert (answer.status_code, answer.json()["got"]) == (400, "text in the field 'image'")


def test_several_masks_are_no_png(serve: Serve) -> None:
    import httpx

    files = [("image", make_png())] * 2
    answer = httpx.post(f"{serve(Bright())}/predict", files=files, headers={"Accept": "image/png"})
    assert (answer.status_code, answer.json()["got"]) == (406, "2 images")


def test_what_a_model_raises_stays_with_the_server(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    import httpx

    url = serve(Broken())
    answer = httpx.post(f"{url}/predict", content=make_png(255))
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "secret in /srv/weights" in caplog.text
    assert httpx.post(f"{url}/predict", content=make_png()).status_code == 200
