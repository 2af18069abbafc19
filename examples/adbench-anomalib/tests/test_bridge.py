"""What the bridge adds to anomalib, and what it leaves as it is."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import distribution, version
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import timm
import torch
from torch import Tensor

from adbench_harness.api import ModelSpec, OptionError, TrainingError, WeightsError

Build = Callable[..., Any]
Learn = Callable[[Any, Tensor], list[int]]
NAMES = sorted(distribution("adbench-anomalib").entry_points.names)


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_point_registers_the_model_of_its_name(name: str, spec_of: Callable[[str], ModelSpec]) -> None:
    spec = spec_of(name)
    assert spec.name == name
    assert spec.title.endswith("(anomalib)")
    options = spec.options()
    assert options.identity()["anomalib"] == version("anomalib")  # another version is another model
    assert spec.options.model_validate(options.identity()) == options  # from which a stored detector is built again


@pytest.mark.parametrize("name", NAMES)
def test_scores_are_the_networks_own_and_its_state_is_enough(name: str, build: Build, images: Tensor, learn: Learn) -> None:
    settings = {"pooling": "1"} if name in ("anomalib-dfm", "anomalib-fre") else {}
    detector = build(name, settings)
    learn(detector, images)
    with torch.no_grad():
        scores = detector.score(images)
        raw = detector.network(detector.prepared(images)).pred_score.reshape(-1)
        again = build(name, settings)
        again.load(detector.state())
        assert scores.shape == (12,)
        torch.testing.assert_close(scores, raw, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(again.score(images), scores)
        torch.testing.assert_close(detector.score(images[5:6]), scores[5:6], rtol=0, atol=0)
        places = detector.anomaly_map(images[:2])
    if name == "anomalib-ganomaly":
        assert places is None
    else:
        assert places.shape == (2, 64, 64)
        assert float(places.min()) >= 0
    backbone = detector.frozen
    assert backbone is None or not any(key.startswith(backbone) for key in detector.state())


def test_a_gray_image_is_three_equal_channels(build: Build, images: Tensor, learn: Learn) -> None:
    gray = images[:, :1]
    colour, single = build("anomalib-padim"), build("anomalib-padim", channels=1)
    learn(colour, gray.expand(-1, 3, -1, -1))
    learn(single, gray)
    torch.testing.assert_close(colour.score(gray.expand(-1, 3, -1, -1)), single.score(gray))


@pytest.mark.parametrize("name", ["anomalib-patchcore", "anomalib-fastflow"])
def test_numpys_global_generator_decides_nothing_and_stays_as_it_was(
    name: str, build: Build, images: Tensor, learn: Learn
) -> None:
    found = []
    for state in (1, 2):
        np.random.seed(state)
        before = np.random.get_state(legacy=False)["state"]["key"].tolist()
        detector = build(name)
        learn(detector, images)
        assert np.random.get_state(legacy=False)["state"]["key"].tolist() == before
        found.append(detector.score(images).detach())
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)


def test_weights_from_a_file_reach_the_backbone_and_not_the_student(build: Build, tmp_path: Path) -> None:
    given = timm.create_model("resnet18", pretrained=False)
    torch.save(given.state_dict(), tmp_path / "given.pth")
    detector = build("anomalib-stfpm", {"weights": str(tmp_path / "given.pth")})
    torch.testing.assert_close(detector.network.get_submodule(detector.frozen).conv1.weight, given.conv1.weight)
    assert not torch.equal(detector.network.student_model.feature_extractor.conv1.weight, given.conv1.weight)
    facts = detector.provenance()["backbone"]
    assert (facts["name"], facts["weights"], len(facts["values_sha256"])) == ("resnet18", "file", 64)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "anomalib-ganomaly"])
def test_each_backbone_takes_a_whole_state_dict(
    name: str, spec_of: Callable[[str], ModelSpec], build: Build, tmp_path: Path
) -> None:
    choices = get_args(spec_of(name).options.model_fields["backbone"].annotation)
    assert "resnet18" in choices
    for backbone in {choices[-1], "resnet18"} - {"wide_resnet50_2"}:  # the last is the largest, or another family
        torch.save(timm.create_model(backbone, pretrained=False).state_dict(), tmp_path / "given.pth")
        detector = build(name, {"backbone": backbone, "weights": str(tmp_path / "given.pth")})
        assert detector.provenance()["backbone"]["name"] == backbone


def test_weights_of_another_network_are_refused(build: Build, tmp_path: Path) -> None:
    torch.save(timm.create_model("resnet50", pretrained=False).state_dict(), tmp_path / "resnet50.pth")
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(WeightsError, match=r"resnet50\.pth: .*resnet18"):
        build("anomalib-padim", {"weights": str(tmp_path / "resnet50.pth")})
    with pytest.raises(WeightsError, match="not a state dict"):
        build("anomalib-padim", {"weights": str(tmp_path / "text.pth")})
    with pytest.raises(OptionError, match="no such file"):
        build("anomalib-padim", {"weights": str(tmp_path / "missing.pth")})


@pytest.mark.parametrize("name", ["anomalib-padim", "anomalib-stfpm"])
def test_without_a_network_one_error_says_what_to_do(name: str, build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    create = timm.create_model

    def offline(*words: Any, pretrained: bool = False, **settings: Any) -> Any:
        if pretrained:
            raise OSError("no route to host")
        return create(*words, pretrained=False, **settings)

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(WeightsError, match=r"timm's weights for resnet18 \(OSError: no route to host\).*--set weights=random"):
        build(name, {"weights": "imagenet"})
    assert timm.create_model is offline


def test_what_can_not_be_is_refused_when_it_is_built(build: Build) -> None:
    with pytest.raises(OptionError, match=r"for anomalib 2\.7\.99"):
        build("anomalib-padim", {"anomalib": "2.7.99"})
    with pytest.raises(OptionError, match="float32"):
        build("anomalib-padim", dtype=torch.float64)
    with pytest.raises(OptionError, match="64 are needed"):
        build("anomalib-reverse-distillation", image_size=32)
    with pytest.raises(OptionError, match="pooling=N"):
        build("anomalib-dfm", image_size=32)
    with pytest.raises(OptionError, match=r"anomalib .* refuses"):
        build("anomalib-padim", {"layers": "layer1", "features": "100"})  # layer1 has 64
    with pytest.raises(OptionError, match="in this order"):
        build("anomalib-patchcore", {"layers": "layer3,layer2"})


def test_a_bank_looks_at_no_more_images_than_it_may(build: Build, images: Tensor, learn: Learn) -> None:
    seen = learn(build("anomalib-padim", {"fit_images": "5"}), images)
    assert len(seen) == len(set(seen)) == 5


def test_too_few_images_are_refused_in_words(build: Build, images: Tensor, learn: Learn) -> None:
    with pytest.raises(TrainingError, match="2 training images"):
        learn(build("anomalib-padim"), images[:1])
    with pytest.raises(TrainingError, match="features of 1 images: coreset_size"):
        learn(build("anomalib-patchcore", {"layers": "layer4"}), images[:1])


def test_a_state_of_another_network_is_refused(build: Build) -> None:
    detector = build("anomalib-stfpm")
    with pytest.raises(WeightsError, match="another network"):
        build("anomalib-fastflow").load(detector.state())
