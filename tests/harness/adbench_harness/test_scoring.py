from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from adbench_harness.api import FitContext, FittedDetector, Images, TrainingError, Transductive
from adbench_harness.scoring import score_images

CPU = torch.device("cpu")


class Ramp:
    """Seven images; each is filled with its number."""

    def __len__(self) -> int:
        return 7

    def batch(self, indices: Tensor) -> Tensor:
        return indices.float().reshape(-1, 1, 1, 1).expand(-1, 3, 4, 4)


class Scorer(FittedDetector):
    def __init__(self, rule: Callable[[Tensor], object]) -> None:
        self.rule = rule

    def fit(self, images: Images, context: FitContext) -> None: ...

    def score(self, images: Tensor) -> Tensor:
        return self.rule(images)  # type: ignore[return-value]  # wrong on purpose in some tests

    def state(self) -> dict[str, Tensor]:
        return {}

    def load(self, state: Mapping[str, Tensor]) -> None: ...


def test_scores_come_in_the_images_order_as_float64() -> None:
    seen: list[tuple[int, int]] = []
    scores = score_images(Scorer(lambda x: x.mean(dim=(1, 2, 3))), Ramp(), 3, CPU, lambda done, total: seen.append((done, total)))
    np.testing.assert_array_equal(scores, np.arange(7.0))
    assert scores.dtype == np.float64
    assert seen == [(3, 7), (6, 7), (7, 7)]


def test_a_score_that_changes_with_its_batch_is_refused() -> None:
    norm = torch.nn.BatchNorm2d(3)
    norm.train()
    with pytest.raises(
        TrainingError, match=r"change with the batch \(by .*, where all scores span .*is a layer still in train mode"
    ):
        score_images(Scorer(lambda x: norm(x)[:, 0, 0, 0] + x[:, 0, 0, 0]), Ramp(), 7, CPU)
    norm.eval()
    score_images(Scorer(lambda x: norm(x)[:, 0, 0, 0]), Ramp(), 7, CPU)


def test_a_score_that_an_image_alone_does_not_have_is_refused() -> None:
    with pytest.raises(TrainingError, match="an image alone, without the rest of its batch, is not finite"):
        score_images(Scorer(lambda x: x[:, 0, 0, 0] + 0 / torch.tensor(len(x) - 1.0)), Ramp(), 7, CPU)


def test_rounding_is_no_change_even_where_scores_are_nearly_the_same() -> None:
    score_images(Scorer(lambda x: 1000 + 1e-3 * x[:, 0, 0, 0] + 1e-4 * len(x)), Ramp(), 7, CPU)


def test_images_come_in_an_order_that_their_names_do_not_decide() -> None:
    seen: list[list[int]] = []

    def rule(x: Tensor) -> Tensor:
        seen.append(x[:, 0, 0, 0].int().tolist())
        return x.mean(dim=(1, 2, 3))

    score_images(Scorer(rule), Ramp(), 4, CPU)
    in_batches, alone = seen[:2], seen[2:]
    assert sorted(in_batches[0] + in_batches[1]) == list(range(7))
    assert in_batches[0] + in_batches[1] != list(range(7))
    assert alone == [[image] for image in (in_batches[0] + in_batches[1])[:4]]


def test_a_detector_s_own_draws_are_seeded_and_leave_the_global_stream_alone() -> None:
    def rule(x: Tensor) -> Tensor:
        return x.mean(dim=(1, 2, 3)) + 1e-6 * torch.rand(len(x))

    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    first = score_images(Scorer(rule), Ramp(), 3, CPU, seed=4)
    assert torch.equal(torch.rand(1), expected)
    np.testing.assert_array_equal(score_images(Scorer(rule), Ramp(), 3, CPU, seed=4), first)
    assert not np.array_equal(score_images(Scorer(rule), Ramp(), 3, CPU, seed=5), first)


class Neighbourly(Scorer):
    """Its score says which images it was batched with: a bit for each."""

    transductive = Transductive(2, "the batch's sum")

    def __init__(self) -> None:
        super().__init__(lambda x: x.mean(dim=(1, 2, 3)) + 10 * (2 ** x.mean(dim=(1, 2, 3))).sum())


def test_a_transductive_detector_gets_its_own_batches_in_a_seeded_order() -> None:
    first, again, other = (score_images(Neighbourly(), Ramp(), 7, CPU, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    np.testing.assert_array_equal(first % 10, np.arange(7), "each score stands at its image's place")
    batches = (first // 10).astype(int)
    assert sorted(bits.bit_count() for bits in set(batches.tolist())) == [1, 2, 2, 2]
    assert sum(set(batches.tolist())) == 2**7 - 1
    assert set(batches.tolist()) != {0b11, 0b1100, 0b110000, 0b1000000}, "not in the order of the images"


def test_no_gradient_is_kept() -> None:
    def rule(x: Tensor) -> Tensor:
        assert torch.is_inference_mode_enabled()
        return x.mean(dim=(1, 2, 3))

    score_images(Scorer(rule), Ramp(), 3, CPU)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (lambda x: x.mean(dim=(1, 2, 3)) / 0 * 0, "7 of 7 scores are not finite"),
        (lambda x: 1 / x.mean(dim=(1, 2, 3)), "1 of 7 scores are not finite"),
        (lambda x: torch.ones(len(x)), "all 7 images have the same score 1; the detector has learnt nothing"),
        (lambda x: x.mean(), r"must be a tensor of shape \(3,\), and is \(\)"),
        (lambda x: torch.ones(len(x) + 1), r"and is \(4,\)"),
        (lambda x: [1.0, 2.0, 3.0], "and is list"),
    ],
)
def test_what_is_no_score_is_refused(rule: Callable[[Tensor], object], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        score_images(Scorer(rule), Ramp(), 3, CPU)


def test_held_out_images_may_all_have_one_score() -> None:
    scores = score_images(Scorer(lambda x: x[:, 0, 0, 0] * 0), Ramp(), 3, CPU, may_be_equal=True)
    assert set(scores.tolist()) == {0.0}
