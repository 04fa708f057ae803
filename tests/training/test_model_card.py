from dataclasses import replace

from huggingface_hub import ModelCard

from segqa.training.config import build_config
from segqa.training.history import Epoch
from segqa.training.model_card import Provenance, model_card

PROVENANCE = Provenance("photos", ("a", "b", "c"), ("d",), "0123456789abcdef", "cpu")
EPOCH = Epoch(7, 0.2, 0.3, 0.8512)


def test_the_card_says_how_it_was_trained_and_how_good_it_became() -> None:
    card = model_card(build_config("unet", width=8, seed=3), PROVENANCE, EPOCH)
    for line in (
        "| width | 8 |",
        "| seed | 3 |",
        "| data set | photos |",
        "| split | 0.2 held out, seed 42, of the sorted ids |",
        "| digest | 0123456789abcdef |",
        "| epoch | 7 of 25 |",
        "| validation IoU | 0.8512 (mean over cases, at 256 × 256) |",
    ):
        assert line in card
    assert "| torch | " in card
    assert "| commit | " in card
    assert "encoder" not in card


def test_the_hub_understands_its_header() -> None:
    understood = ModelCard(model_card(build_config("resnet34"), PROVENANCE, EPOCH)).data
    assert understood.get("library_name") == "segmentation-models-pytorch"
    assert understood.get("pipeline_tag") == "image-segmentation"


def test_other_cases_held_out_make_another_card() -> None:
    recipe = build_config("unet")
    other = replace(PROVENANCE, validated_on=("c",))
    assert model_card(recipe, PROVENANCE, EPOCH) != model_card(recipe, other, EPOCH)
