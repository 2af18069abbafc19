"""GANomaly against numbers of the public implementation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from adbench_harness.api import BuildContext
from adbench_models.ganomaly import GANomaly, GANomalyOptions

pytestmark = pytest.mark.parity

MakeContext = Callable[..., BuildContext]


def filled(vectors: Any, make_context: MakeContext, precision: str, channels: int = 3, **options: Any) -> GANomaly:
    context = make_context(dtype=getattr(torch, precision), image_size=vectors.size, channels=channels)
    made = GANomaly(GANomalyOptions(**options), context)
    vectors.fill([made.generator, made.discriminator], vectors.tensors(channels))
    return made


def parts(made: GANomaly) -> dict[str, nn.Module]:
    generator = made.generator
    return {
        "encoder1": generator.encoder1,
        "decoder": generator.decoder,
        "encoder2": generator.encoder2,
        "discriminator": made.discriminator,
    }


@pytest.fixture
def training(phases: Any, make_step: Any) -> Callable[[GANomaly, Tensor], Callable[[], dict[str, Tensor]]]:
    """Steps of a detector's own phase, one after another, on one batch in [0, 1]."""

    def begin(made: GANomaly, images: Tensor) -> Callable[[], dict[str, Tensor]]:
        phase = next(phases(made, images))

        def step() -> dict[str, Tensor]:
            made.generator.train()
            made.discriminator.train()
            found = dict(phase.step(make_step(images)))
            assert float(found.pop("restarts")) == 0
            return found

        return step

    return begin


def test_counts(vectors: Any, make_context: MakeContext) -> None:
    rows = vectors["fill"]["tensors"]
    made = GANomaly(GANomalyOptions(), make_context(image_size=vectors.size))
    for name, network in parts(made).items():
        expected = sum(int(np.prod(row["shape"])) for row in rows if row["subnet"].endswith(name))
        assert expected > 0
        assert sum(parameter.numel() for parameter in network.parameters()) == expected


@pytest.mark.parametrize("channels", [3, 1])
@pytest.mark.parametrize("mode", ["eval", "train"])
def test_forward(
    vectors: Any, make_context: MakeContext, check: Any, record: Any, precision: str, channels: int, mode: str
) -> None:
    expected = record(precision, channels)[f"{mode}_forward"]
    made = filled(vectors, make_context, precision, channels)
    made.generator.train(mode == "train")
    made.discriminator.train(mode == "train")
    x = vectors.symmetric(channels).to(getattr(torch, precision))
    with torch.no_grad():
        rebuilt = made.generator(x)
        features = made.discriminator.features(x)
        check.summary(rebuilt.code, expected["latent_i=encoder1(x)"])
        check.summary(rebuilt.images, expected["reconstruction"])
        check.summary(rebuilt.code_again, expected["latent_o=encoder2(reconstruction)"])
        check.summary(features, expected["discriminator.features(x)"])
        check.summary(made.discriminator.classifier(features), expected["discriminator.probability(x)"])
    if mode == "train":
        for name, network in parts(made).items():
            check.norms(network, expected["bn_after_one_train_forward"][name])
    check.values((rebuilt.images - x).abs().flatten(1).mean(dim=1), expected["L1_recon_per_image"])


@pytest.mark.parametrize("channels", [3, 1])
@pytest.mark.parametrize(("bn_at_test", "mode"), [("running", "eval"), ("batch", "train")])
def test_scores(
    vectors: Any, make_context: MakeContext, check: Any, record: Any, precision: str, channels: int, bn_at_test: str, mode: str
) -> None:
    expected = record(precision, channels)[f"{mode}_forward"]
    made = filled(vectors, make_context, precision, channels, bn_at_test=bn_at_test)
    with torch.no_grad():
        scores = made.score(vectors.unit(channels).to(getattr(torch, precision)))
    check.values(scores, expected["raw_score_per_image"])
    check.values((scores - scores.min()) / (scores.max() - scores.min()), expected["minmax_score_per_image"], scale=1.0)


def test_running_statistics_after_one_iteration(
    vectors: Any, make_context: MakeContext, check: Any, training: Any, precision: str
) -> None:
    made = filled(vectors, make_context, precision)
    training(made, vectors.unit().to(getattr(torch, precision)))()
    for name, network in parts(made).items():
        check.norms(network, vectors[precision]["bn_after_one_optimisation_iteration"][name])


def test_first_losses(vectors: Any, make_context: MakeContext, check: Any, training: Any, precision: str) -> None:
    made = filled(vectors, make_context, precision)
    found = training(made, vectors.unit().to(getattr(torch, precision)))()
    expected = vectors[precision]["training_4_iterations"][0]
    assert found.keys() == expected.keys()
    check.values(list(found.values()), [expected[name] for name in found])


def test_training(vectors: Any, make_context: MakeContext, check: Any, training: Any) -> None:
    expected = vectors["float64"]
    made, x = filled(vectors, make_context, "float64"), vectors.unit()
    step = training(made, x)
    for iteration, losses in enumerate(expected["training_4_iterations"]):
        found = step()
        check.values([found[name] for name in losses], list(losses.values()))
        if iteration == 2:
            check.values(score(made, x, "running"), expected["raw_score_per_image_eval_after_3_iterations"])
            check.values(score(made, x, "batch"), expected["raw_score_per_image_trainmodeBN_after_3_iterations"])
    for name, network in (("generator", made.generator), ("discriminator", made.discriminator)):
        check.length(network, expected["final_param_l2"][name])
    published = expected["reference_test_function_after_4_iterations"]
    raw = score(made, x, "batch").float()  # the public code keeps single precision
    scaled = (raw - raw.min()) / (raw.max() - raw.min())
    rounding = 4 * torch.finfo(torch.float32).eps * float(raw.max() / (raw.max() - raw.min()))
    np.testing.assert_allclose(scaled, published["scores"], rtol=1e-6, atol=rounding)
    assert roc_auc_score(published["labels"], scaled) == pytest.approx(published["roc_auc"])


def score(made: GANomaly, x: Tensor, bn_at_test: str) -> Tensor:
    """Scores of images in [0, 1] under either rule; the networks go on training as if nothing had been scored."""
    options, made.options = made.options, GANomalyOptions.model_validate({"bn_at_test": bn_at_test})
    made.generator.eval()
    with torch.no_grad():
        scores = made.score(x)
    made.options = options
    return scores
