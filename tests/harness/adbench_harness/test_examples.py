from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from adbench_harness import examples
from adbench_harness.api import FitContext, FittedDetector, Images, Sample, TrainingError, Transductive
from adbench_harness.examples import choose, draw
from adbench_harness.result import Examples

CPU = torch.device("cpu")
Rule = Callable[[Tensor], Any]


class Noise:
    """Uint8 noise as float in [0, 1], like prepared images."""

    def __init__(self, count: int, channels: int = 3) -> None:
        draw = torch.Generator().manual_seed(3)
        self.pixels = torch.randint(256, (count, channels, 6, 6), generator=draw, dtype=torch.uint8)

    def __len__(self) -> int:
        return len(self.pixels)

    def batch(self, indices: Tensor) -> Tensor:
        return self.pixels[indices].float() / 255


class Painter(FittedDetector):
    def __init__(self, rebuild: Rule = lambda x: None, locate: Rule = lambda x: None) -> None:
        self.rebuild, self.locate = rebuild, locate

    def fit(self, images: Images, context: FitContext) -> None: ...

    def score(self, images: Tensor) -> Tensor:
        return images.mean(dim=(1, 2, 3))

    def state(self) -> dict[str, Tensor]:
        return {}

    def load(self, state: Mapping[str, Tensor]) -> None: ...

    def reconstruct(self, images: Tensor) -> Tensor | None:
        made: Tensor | None = self.rebuild(images)
        return made

    def anomaly_map(self, images: Tensor) -> Tensor | None:
        made: Tensor | None = self.locate(images)
        return made


def samples(normal: int, **abnormal: int) -> list[Sample]:
    made = [Sample(f"n{number}", "", 0) for number in range(normal)]
    return made + [Sample(f"{kind}{number}", "", 1, kind) for kind, count in abnormal.items() for number in range(count)]


def drawn(detector: Painter, images: Noise, batch_size: int = 32, seed: int = 0) -> Examples | None:
    chosen = samples(len(images))
    return draw(detector, images, chosen, {sample.id: 0.5 for sample in chosen}, batch_size, seed, CPU)


def pixels(made: Examples | None, name: str) -> NDArray[np.uint8]:
    assert made is not None
    return np.asarray(Image.open(io.BytesIO(made.files[name])))


# --- which images ---


def test_eight_normal_images_come_first_then_eight_abnormal_ones_of_subtypes_in_turn() -> None:
    chosen = choose("d", 0, samples(40, spot=30, blot=30, streak=1))
    assert [sample.label for sample in chosen] == [0] * 8 + [1] * 8
    kinds = [sample.subtype for sample in chosen[8:]]
    assert set(kinds[:3]) == {"spot", "blot", "streak"}
    assert sorted(kinds.count(kind) for kind in set(kinds)) == [1, 3, 4]
    assert len({sample.id for sample in chosen}) == 16


def test_fewer_are_shown_where_there_are_fewer() -> None:
    assert len(choose("d", 0, samples(3, spot=2))) == 5
    assert choose("d", 0, []) == []


def test_the_selection_is_the_same_everywhere_and_always() -> None:
    test = samples(20, spot=20, blot=20)
    chosen = [sample.id for sample in choose("d", 0, test)]
    assert chosen == [sample.id for sample in choose("d", 0, test[::-1])]
    assert chosen == GOLDEN.split()
    others = [[sample.id for sample in choose(dataset, split, test)] for dataset, split in (("d", 1), ("e", 0))]
    assert all(other != chosen for other in others)


GOLDEN = "n9 n3 n11 n15 n8 n13 n0 n10 blot1 spot6 blot13 spot2 blot12 spot8 blot11 spot5"


# --- what is drawn ---


@pytest.mark.parametrize(("channels", "mode"), [(3, "RGB"), (1, "L")])
def test_pictures_are_the_prepared_pixels_in_their_colours(channels: int, mode: str) -> None:
    images = Noise(3, channels)
    made = drawn(Painter(rebuild=lambda x: 1 - x), images)
    expected = images.pixels.permute(0, 2, 3, 1).numpy()
    for number in range(3):
        found = pixels(made, f"{number:02}-input.png").reshape(6, 6, channels)
        np.testing.assert_array_equal(found, expected[number])
        np.testing.assert_array_equal(pixels(made, f"{number:02}-reconstruction.png").reshape(6, 6, channels), 255 - found)
    assert made is not None
    assert Image.open(io.BytesIO(made.files["00-input.png"])).mode == mode


def test_what_lies_outside_0_and_1_is_clipped() -> None:
    made = drawn(Painter(rebuild=lambda x: torch.full_like(x, 7.0), locate=lambda x: x[:, 0] - 0.5), Noise(2))
    assert (pixels(made, "01-reconstruction.png") == 255).all()
    assert pixels(made, "00-map.png").min() == 0


def test_all_maps_of_a_run_share_one_scale_from_zero_to_the_largest_value() -> None:
    scale = torch.arange(1.0, 6.0).reshape(-1, 1, 1)

    def locate(x: Tensor) -> Tensor:  # batches of 3 and 2
        return 10 * (scale[:3] if len(x) == 3 else scale[3:]).expand(-1, 6, 6)

    made = drawn(Painter(locate=locate), Noise(5), batch_size=3)
    assert made is not None
    assert {example.map_white for example in made.listed} == {50.0}
    assert [int(pixels(made, f"{number:02}-map.png")[0, 0]) for number in range(5)] == [51, 102, 153, 204, 255]
    assert Image.open(io.BytesIO(made.files["00-map.png"])).mode == "L"


def test_maps_that_are_zero_all_over_are_black() -> None:
    made = drawn(Painter(locate=lambda x: 0 * x[:, 0]), Noise(2))
    assert not pixels(made, "00-map.png").any()


def test_the_list_says_what_each_picture_is() -> None:
    chosen = [Sample("a/b", "", 1, "spot"), Sample("c", "", 0)]
    made = draw(Painter(rebuild=lambda x: x), Noise(2), chosen, {"c": 0.25, "a/b": 0.75}, 32, 0, CPU)
    assert made is not None
    assert [example.model_dump(exclude_none=True) for example in made.listed] == [
        {
            "image": "a/b",
            "label": 1,
            "subtype": "spot",
            "score": 0.75,
            "files": {"input": "00-input.png", "reconstruction": "00-reconstruction.png"},
        },
        {
            "image": "c",
            "label": 0,
            "subtype": "normal",
            "score": 0.25,
            "files": {"input": "01-input.png", "reconstruction": "01-reconstruction.png"},
        },
    ]
    assert sorted(made.files) == ["00-input.png", "00-reconstruction.png", "01-input.png", "01-reconstruction.png"]


def test_a_detector_that_makes_neither_gets_no_pictures() -> None:
    assert drawn(Painter(), Noise(2)) is None


def test_nothing_is_drawn_of_no_image() -> None:
    assert drawn(Painter(rebuild=lambda x: x), Noise(0)) is None


def test_a_transductive_detector_is_not_even_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def rebuild(x: Tensor) -> Tensor:
        raise AssertionError

    monkeypatch.setattr(Painter, "transductive", Transductive(8, "batch statistics"))
    assert drawn(Painter(rebuild=rebuild), Noise(2)) is None


# --- how a detector is called ---


def test_a_map_may_use_gradients_and_a_reconstruction_keeps_none() -> None:
    weight = torch.ones(1, requires_grad=True)

    def rebuild(x: Tensor) -> Tensor:
        assert not torch.is_grad_enabled()
        return x * weight

    def locate(x: Tensor) -> Tensor:
        with torch.enable_grad():
            x.requires_grad_(True)
            (gradient,) = torch.autograd.grad((x.square() * weight).sum(), x, create_graph=True)
            made = gradient.double().mean(dim=1)  # a run may be in float64
        assert made.requires_grad
        return made

    made = drawn(Painter(rebuild, locate), Noise(2))
    assert pixels(made, "00-map.png").max() == 255 or pixels(made, "01-map.png").max() == 255


def test_a_detector_that_writes_into_its_input_spoils_no_other_picture() -> None:
    images = Noise(2)
    made = drawn(Painter(rebuild=lambda x: x.zero_(), locate=lambda x: x[:, 0]), images)
    assert not pixels(made, "00-reconstruction.png").any()
    assert pixels(made, "00-map.png").any()
    np.testing.assert_array_equal(pixels(made, "00-input.png"), images.pixels[0].permute(1, 2, 0).numpy())


def test_a_detector_that_draws_at_random_draws_the_same_and_leaves_no_trace() -> None:
    state = torch.get_rng_state()
    first, second, other = (drawn(Painter(rebuild=torch.rand_like), Noise(2), seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert first == second
    assert first != other


@pytest.mark.parametrize(
    ("rebuild", "locate", "message"),
    [
        (lambda x: x[:, :1], None, r"reconstruction must be a tensor of shape \(2, 3, 6, 6\), and is \(2, 1, 6, 6\)"),
        (lambda x: x[:1], None, r"and is \(1, 3, 6, 6\)"),
        (lambda x: x.tolist(), None, "and is list"),
        (lambda x: x.long(), None, "reconstruction must be of floating-point numbers, and is of torch.int64"),
        (lambda x: x / 0 * 0, None, "reconstruction has 216 values that are not finite"),
        (None, lambda x: x, r"anomaly map must be a tensor of shape \(2, 6, 6\), and is \(2, 3, 6, 6\)"),
        (None, lambda x: x[:, 0] + torch.inf, "anomaly map has 72 values that are not finite"),
    ],
)
def test_what_is_no_picture_is_refused(rebuild: Rule | None, locate: Rule | None, message: str) -> None:
    nothing: Rule = lambda x: None  # noqa: E731 - the same form as the parameters
    with pytest.raises(TrainingError, match=message):
        drawn(Painter(rebuild or nothing, locate or nothing), Noise(2))


def test_pictures_of_some_batches_only_are_refused() -> None:
    with pytest.raises(TrainingError, match="and is NoneType"):
        drawn(Painter(rebuild=lambda x: x if len(x) == 3 else None), Noise(5), batch_size=3)


def test_batches_are_the_protocol_s() -> None:
    seen: list[int] = []

    def rebuild(x: Tensor) -> Tensor:
        seen.append(len(x))
        return x

    drawn(Painter(rebuild=rebuild), Noise(7), batch_size=3)
    assert seen == [3, 3, 1]
    assert examples.EACH == 8
