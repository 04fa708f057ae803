import pytest
import torch

from segqa.models.unet import UNet


@pytest.fixture(scope="module")
def net() -> UNet:
    torch.manual_seed(0)
    return UNet(8).eval()


def test_the_default_is_the_classic_one() -> None:
    convolutions = [module for module in UNet().modules() if isinstance(module, torch.nn.Conv2d)]
    widths = [module.out_channels for module in convolutions]
    assert widths == [64, 64, 128, 128, 256, 256, 512, 512, 1024, 1024, 512, 512, 256, 256, 128, 128, 64, 64, 1]


@pytest.mark.parametrize("shape", [(1, 1), (16, 16), (17, 40), (3, 100), (64, 48)])
def test_there_is_one_logit_a_pixel_for_any_size(net: UNet, shape: tuple[int, int]) -> None:
    assert net(torch.rand(2, 3, *shape)).shape == (2, 1, *shape)


def test_padding_repeats_the_edge(net: UNet) -> None:
    image = torch.rand(1, 3, 16, 20)
    by_hand = torch.cat([image, image[..., -1:].expand(-1, -1, -1, 12)], dim=-1)
    assert torch.equal(net(image), net(by_hand)[..., :20])


def test_dropout_is_spatial_and_only_while_training() -> None:
    torch.manual_seed(0)
    net = UNet(8)
    dropped = net.down[0][:4](torch.rand(1, 3, 16, 16))[0].flatten(1)  # type: ignore[index]
    whole = (dropped == 0).all(dim=1)
    assert 0 < whole.sum() < len(whole)
    net.eval()
    image = torch.rand(1, 3, 16, 16)
    assert torch.equal(net(image), net(image))


def test_every_weight_learns() -> None:
    net = UNet(4)
    torch.autograd.backward(net(torch.rand(2, 3, 32, 32)).square().sum())
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in net.parameters())
