import pytest
import torch

from segqa.errors import SettingsError
from segqa.training.config import build_config
from segqa.training.networks import build_network


def test_the_seed_decides_the_weights() -> None:
    def first(seed: int) -> torch.Tensor:
        return next(build_network(build_config("unet", width=4, seed=seed)).parameters())

    with torch.random.fork_rng(devices=[]):
        assert torch.equal(first(1), first(1))
        assert not torch.equal(first(1), first(2))


def test_any_architecture_and_encoder_of_smp_is_built() -> None:
    with torch.random.fork_rng(devices=[]):
        net = build_network(build_config("resnet34", arch="FPN", encoder="resnet18", encoder_weights="none")).eval()
    assert type(net).__name__ == "FPN"
    assert net(torch.rand(1, 3, 64, 64)).shape == (1, 1, 64, 64)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"arch": "unet"}, "no architecture 'unet'; did you mean 'Unet'"),
        ({"encoder": "resnet43"}, "no encoder 'resnet43'; did you mean 'resnet34'"),
        ({"encoder_weights": "imagined"}, "Wrong pretrained weights `imagined`"),
    ],
)
def test_what_smp_has_not_is_refused(options: dict[str, str], said: str) -> None:
    with torch.random.fork_rng(devices=[]), pytest.raises(SettingsError, match=said):
        build_network(build_config("resnet34", **options))
