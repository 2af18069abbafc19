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
from adbench_models.ganomaly import BETAS, GANomaly, GANomalyOptions

pytestmark = pytest.mark.parity

MakeContext = Callable[..., BuildContext]


@pytest.fixture(params=["float64", "float32"])
def precision(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def filled(vectors: Any, make_context: MakeContext, precision: str, channels: int = 3, **options: Any) -> GANomaly:
    context = make_context(dtype=getattr(torch, precision), image_size=vectors.size, channels=channels)
    made = GANomaly(GANomalyOptions(**options), context)
    rows: list[dict[str, Any]] = vectors["fill"]["tensors"]
    if channels != 3:
        changed = {row["k"]: row for row in vectors["channels1"]["tensors_that_differ"]}
        rows = [changed.get(row["k"], row) for row in rows]
    vectors.fill([made.generator, made.discriminator], rows)
    return made


def record(vectors: Any, precision: str, channels: int) -> dict[str, Any]:
    found: dict[str, Any] | None = vectors[precision] if channels == 3 else vectors["channels1"].get(precision)
    if found is None:
        pytest.skip(f"no {precision} record for {channels} channel(s)")
    return found


def parts(made: GANomaly) -> dict[str, nn.Module]:
    generator = made.generator
    return {
        "encoder1": generator.encoder1,
        "decoder": generator.decoder,
        "encoder2": generator.encoder2,
        "discriminator": made.discriminator,
    }


def adam(network: nn.Module) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), lr=2e-4, betas=BETAS)


def trained(made: GANomaly, x: Tensor, steps: int) -> list[dict[str, Tensor]]:
    made.generator.train()
    made.discriminator.train()
    optimisers = adam(made.generator), adam(made.discriminator)
    return [made.step(x, *optimisers) for _ in range(steps)]


def test_counts(vectors: Any, make_context: MakeContext) -> None:
    rows = vectors["fill"]["tensors"]
    made = GANomaly(GANomalyOptions(), make_context(image_size=vectors.size))
    for name, network in parts(made).items():
        expected = sum(int(np.prod(row["shape"])) for row in rows if row["subnet"].endswith(name))
        assert expected > 0
        assert sum(parameter.numel() for parameter in network.parameters()) == expected


@pytest.mark.parametrize("channels", [3, 1])
@pytest.mark.parametrize("mode", ["eval", "train"])
def test_forward(vectors: Any, make_context: MakeContext, check: Any, precision: str, channels: int, mode: str) -> None:
    expected = record(vectors, precision, channels)[f"{mode}_forward"]
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
    vectors: Any, make_context: MakeContext, check: Any, precision: str, channels: int, bn_at_test: str, mode: str
) -> None:
    expected = record(vectors, precision, channels)[f"{mode}_forward"]
    made = filled(vectors, make_context, precision, channels, bn_at_test=bn_at_test)
    with torch.no_grad():
        scores = made.score(vectors.unit(channels).to(getattr(torch, precision)))
    check.values(scores, expected["raw_score_per_image"])
    check.values((scores - scores.min()) / (scores.max() - scores.min()), expected["minmax_score_per_image"], scale=1.0)


def test_running_statistics_after_one_iteration(vectors: Any, make_context: MakeContext, check: Any, precision: str) -> None:
    made = filled(vectors, make_context, precision)
    trained(made, vectors.symmetric().to(getattr(torch, precision)), 1)
    for name, network in parts(made).items():
        check.norms(network, vectors[precision]["bn_after_one_optimisation_iteration"][name])


def test_first_losses(vectors: Any, make_context: MakeContext, check: Any, precision: str) -> None:
    made = filled(vectors, make_context, precision)
    found = trained(made, vectors.symmetric().to(getattr(torch, precision)), 1)[0]
    expected = vectors[precision]["training_4_iterations"][0]
    assert found.keys() == expected.keys()
    check.values(list(found.values()), [expected[name] for name in found])


def test_training(vectors: Any, make_context: MakeContext, check: Any) -> None:
    expected = vectors["float64"]
    made = filled(vectors, make_context, "float64")
    x = vectors.symmetric()
    optimisers = adam(made.generator), adam(made.discriminator)
    for iteration, losses in enumerate(expected["training_4_iterations"]):
        made.generator.train()
        made.discriminator.train()
        found = made.step(x, *optimisers)
        check.values([found[name] for name in losses], list(losses.values()))
        if iteration == 2:
            check.values(score(made, x, "running"), expected["raw_score_per_image_eval_after_3_iterations"])
            check.values(score(made, x, "batch"), expected["raw_score_per_image_trainmodeBN_after_3_iterations"])
    for name, network in (("generator", made.generator), ("discriminator", made.discriminator)):
        length = torch.cat([parameter.detach().flatten() for parameter in network.parameters()]).norm()
        check.values(length, expected["final_param_l2"][name])
    published = expected["reference_test_function_after_4_iterations"]
    raw = score(made, x, "batch").float()  # the public code keeps single precision
    scaled = (raw - raw.min()) / (raw.max() - raw.min())
    rounding = 4 * torch.finfo(torch.float32).eps * float(raw.max() / (raw.max() - raw.min()))
    np.testing.assert_allclose(scaled, published["scores"], rtol=1e-6, atol=rounding)
    assert roc_auc_score(published["labels"], scaled) == pytest.approx(published["roc_auc"])


def score(made: GANomaly, x: Tensor, bn_at_test: str) -> Tensor:
    """Scores of the same networks under either rule; training goes on as if nothing had been scored."""
    scorer = GANomaly.__new__(GANomaly)
    scorer.options = GANomalyOptions.model_validate({"bn_at_test": bn_at_test})
    scorer.generator = made.generator
    made.generator.eval()
    with torch.no_grad():
        scores = scorer.score((x + 1) / 2)
    for module in made.generator.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.track_running_stats = True
    return scores
