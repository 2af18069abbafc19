from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
import torchvision
from torch import Tensor, nn

from adbench_harness.api import WeightsError
from adbench_models import vgg16
from adbench_models.vgg16 import (
    CAFFE_FIRST_BIASES,
    CAFFE_MEAN,
    CAFFE_SCALE,
    V1_MEAN,
    V1_STD,
    VGG16,
    Weights,
    build,
    pretrained,
    values_sha256,
)


@pytest.fixture
def caffe(tmp_path: Path) -> Path:
    """A file that begins as the Caffe weights do; the rest is random."""
    state = VGG16().state_dict()
    state["features.0.bias"][:3] = torch.tensor(CAFFE_FIRST_BIASES)
    torch.save(state, tmp_path / "caffe.pth")
    return tmp_path / "caffe.pth"


def test_it_is_torchvision_s_vgg16_up_to_the_last_pool() -> None:
    theirs = torchvision.models.vgg16(weights=None)
    network = VGG16()
    network.load_state_dict({name: tensor for name, tensor in theirs.state_dict().items() if name.startswith("features.")})
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        pools = network(images)
        torch.testing.assert_close(pools[-1], theirs.features(images))
    assert [tuple(pool.shape[1:]) for pool in pools] == [(128, 16, 16), (256, 8, 8), (512, 4, 4), (512, 2, 2)]


def per_channel(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).reshape(1, 3, 1, 1)


@pytest.mark.parametrize(("given", "mean"), [("plain", (0.0, 0.0, 0.0)), ("trained", CAFFE_MEAN)])
def test_the_caffe_family_is_recognised_and_its_activations_are_scaled(
    caffe: Path, given: vgg16.Input, mean: tuple[float, float, float]
) -> None:
    weights = pretrained(caffe)
    assert weights.kind == "imagenet-features"
    scaled = build(weights, given).double()
    unscaled = VGG16().double()
    unscaled.load_state_dict({name: tensor.double() for name, tensor in weights.tensors.items()})
    images = torch.rand(1, 3, 32, 32, dtype=torch.float64)
    with torch.no_grad():
        as_caffe = unscaled(images * 255 - per_channel(mean))
        for ours, theirs in zip(scaled(images), as_caffe, strict=True):
            torch.testing.assert_close(ours * CAFFE_SCALE, theirs, rtol=1e-5, atol=1e-6)


def test_the_other_family_takes_plain_images_or_what_it_was_trained_for(tmp_path: Path) -> None:
    torch.save(VGG16().state_dict(), tmp_path / "mine.pth")
    weights = pretrained(tmp_path / "mine.pth", "imagenet")
    images = torch.rand(1, 3, 32, 32)
    normalised = (images - per_channel(V1_MEAN).float()) / per_channel(V1_STD).float()
    with torch.no_grad():
        untouched = build(weights)
        assert torch.equal(untouched(images)[-1], untouched.features(images))
        torch.testing.assert_close(build(weights, "trained")(images)[-1], untouched.features(normalised))


def test_a_run_keeps_which_input_its_teacher_got(caffe: Path) -> None:
    weights = pretrained(caffe)
    other = Weights("imagenet", weights.sha256, weights.tensors)
    said = [str(one.provenance(given)["input"]) for one in (weights, other) for given in ("plain", "trained")]
    assert said == [
        "RGB 0-255 / 57.6, biases / 57.6",
        "(RGB 0-255 - (123.68, 116.779, 103.939)) / 57.6, biases / 57.6",
        "RGB in [0, 1]",
        "(RGB in [0, 1] - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)",
    ]
    assert weights.provenance("plain")["values_sha256"] == weights.sha256
    alike = [one.provenance(given)["as_in_the_study"] for one in (weights, other) for given in ("plain", "trained")]
    assert alike == [False, False, True, False]


def test_the_features_alone_and_a_whole_network_are_both_taken(tmp_path: Path, caffe: Path) -> None:
    state = torch.load(caffe, weights_only=True)
    torch.save({name.removeprefix("features."): tensor for name, tensor in state.items()}, tmp_path / "features.pth")
    torch.save({**state, "classifier.0.weight": torch.zeros(2, 2)}, tmp_path / "whole.pth")
    hashes = {pretrained(tmp_path / name).sha256 for name in ("caffe.pth", "features.pth", "whole.pth")}
    assert len(hashes) == 1


def test_weights_of_unknown_origin_must_be_stated(tmp_path: Path) -> None:
    torch.save(VGG16().state_dict(), tmp_path / "mine.pth")
    with pytest.raises(WeightsError, match="say it with --set teacher_kind=imagenet"):
        pretrained(tmp_path / "mine.pth")
    assert pretrained(tmp_path / "mine.pth", "imagenet").kind == "imagenet"


def test_another_network_or_no_network_is_refused(tmp_path: Path) -> None:
    state = VGG16().state_dict()
    torch.save({**state, "features.0.weight": torch.zeros(64, 1, 3, 3)}, tmp_path / "gray.pth")
    with pytest.raises(WeightsError, match=r"features\.0\.weight has shape \(64, 1, 3, 3\).*another network"):
        pretrained(tmp_path / "gray.pth")
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "linear.pth")
    with pytest.raises(WeightsError, match=r"no tensor 'features\.0\.weight'"):
        pretrained(tmp_path / "linear.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(WeightsError, match="holds a list, not a state dict"):
        pretrained(tmp_path / "list.pth")
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(WeightsError, match="not a state dict that can be read"):
        pretrained(tmp_path / "text.pth")


@pytest.mark.parametrize("kind", ["imagenet", "imagenet-features"])
def test_without_network_the_place_for_the_file_is_named(monkeypatch: pytest.MonkeyPatch, kind: vgg16.Kind) -> None:
    def offline(*args: object, **kwargs: object) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setattr(torchvision.models.VGG16_Weights, "get_state_dict", offline)
    with pytest.raises(WeightsError, match=r"Name or service not known.*put that file at .*checkpoints/vgg16.*--set teacher="):
        pretrained(kind)


def test_what_torchvision_downloads_is_taken_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    state = torchvision.models.vgg16(weights=None).state_dict()
    monkeypatch.setattr(torchvision.models.VGG16_Weights, "get_state_dict", lambda self, progress, check_hash: state)
    weights = pretrained("imagenet")
    assert isinstance(weights, Weights)
    assert len(weights.tensors) == 26
    network = build(weights)
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert values_sha256(network.state_dict()) == weights.sha256
