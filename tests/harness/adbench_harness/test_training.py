from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from adbench_harness.api import (
    FitContext,
    FitRules,
    FittedDetector,
    Images,
    InterruptedRunError,
    Phase,
    Step,
    TrainedDetector,
    TrainingError,
)
from adbench_harness.training import Moment, Training

CPU = torch.device("cpu")
RULES = FitRules(batch_size=4, image_size=16)


Make = Callable[..., Training]


class Seldom(TrainedDetector):
    """Its second loss comes with every other step only, as a GAN's generator loss does."""

    layer = torch.nn.Linear(1, 1)

    def phases(self, images: Images, context: FitContext) -> Iterator[Phase]:
        def step(batch: Step) -> Mapping[str, Tensor]:
            losses = {"always": torch.tensor(1.0 + batch.index)}
            return losses if batch.index % 2 else losses | {"seldom": torch.tensor(10.0 + batch.index)}

        yield Phase("p", {"l": self.layer}, {"o": torch.optim.SGD(self.layer.parameters(), lr=0.0)}, 1, step)

    def score(self, images: Tensor) -> Tensor:
        return images.mean(dim=(1, 2, 3))

    def state(self) -> dict[str, Tensor]:
        return {}

    def load(self, state: Mapping[str, Tensor]) -> None: ...


def test_a_loss_that_comes_with_some_steps_is_averaged_over_their_images(make: Make) -> None:
    done = make()  # batches of 4, 4 and 2
    done.run(Seldom())
    assert {point.name: point.value for point in done.curves} == {
        "always": pytest.approx((1 * 4 + 2 * 4 + 3 * 2) / 10),
        "seldom": pytest.approx((10 * 4 + 12 * 2) / 6),
    }


def test_it_is_averaged_alike_when_the_epoch_was_interrupted(make: Make) -> None:
    asked = iter(range(10))
    with pytest.raises(InterruptedRunError):
        make(stop=lambda: next(asked) == 1).run(Seldom())
    again = make()
    again.run(Seldom())
    assert again.resumed == 1
    assert {point.name: point.value for point in again.curves} == {"always": pytest.approx(1.8), "seldom": pytest.approx(64 / 6)}


def test_after_a_phase_its_modules_are_in_eval_mode(make: Make, recorder: Any) -> None:
    detector = recorder()
    make().run(detector)
    assert not detector.first.training
    assert not detector.second.training


def test_every_epoch_presents_every_image_once_in_an_order_of_its_own(make: Make, recorder: Any) -> None:
    detector = recorder()
    done = make()
    done.run(detector)
    orders = [
        [image for s in detector.steps if s[:2] == (name, epoch) for image in s[3]]
        for name in ("first", "second")
        for epoch in range(3)
    ]
    assert all(sorted(order) == list(range(10)) for order in orders)
    assert len({tuple(order) for order in orders}) == 6
    assert [len(s[3]) for s in detector.steps[:3]] == [4, 4, 2]
    assert (done.steps, done.presented, done.epochs) == (18, 60, {"first": 3, "second": 3})
    assert [(p.phase, p.epoch, p.name) for p in done.curves] == [
        (name, e, "loss") for name in ("first", "second") for e in range(3)
    ]


def test_an_incomplete_batch_can_be_dropped(make: Make, recorder: Any) -> None:
    detector = recorder(epochs=1, drop_last=True)
    make().run(detector)
    assert [len(s[3]) for s in detector.steps] == [4, 4, 4, 4]
    with pytest.raises(TrainingError, match=r"10 training images make no full batch of 16; lower it with --set batch_size=N"):
        make(rules=FitRules(batch_size=16)).run(recorder(drop_last=True))


def test_a_protocol_may_set_the_length(make: Make, recorder: Any) -> None:
    done = make(rules=FitRules(batch_size=4, epochs=2))
    done.run(recorder(epochs=7))
    assert done.epochs == {"first": 2, "second": 2}


@pytest.mark.parametrize(
    ("budget", "drop_last", "sizes", "epochs"),
    [
        (60, False, [4, 4, 2] * 3, 3),  # as many as whole epochs make
        (50, False, [4, 4, 2] * 2 + [4, 4], 3),  # 25 a phase: the last epoch ends with the step that reaches them
        (40, False, [4, 4, 2] * 2, 2),
        (8, False, [4], 1),  # less than an epoch
        (2, False, [4], 1),  # at least one step
        (50, True, [4, 4] * 3 + [4], 4),  # the incomplete batch is not presented, and does not count
    ],
)
def test_a_budget_ends_each_phase_at_its_share(
    make: Make, recorder: Any, budget: int, drop_last: bool, sizes: list[int], epochs: int
) -> None:
    heard: list[Moment] = []
    detector = recorder(epochs=7, drop_last=drop_last)
    done = make(rules=RULES.model_copy(update={"images_presented": budget}), listen=heard.append)
    done.run(detector)
    assert [len(s[3]) for s in detector.steps] == sizes * 2
    assert (done.presented, done.epochs) == (2 * sum(sizes), {"first": epochs, "second": epochs})
    assert [(m.phase, m.done, m.total) for m in heard] == [
        (name, e + 1, epochs) for name in ("first", "second") for e in range(epochs)
    ]


def test_a_budget_is_shared_out_as_phases_ask(make: Make, recorder: Any) -> None:
    detector = recorder(shares=(0.6, 0.4))
    make(rules=FitRules(batch_size=4, images_presented=100)).run(detector)
    assert Counter(s[0] for s in detector.steps) == {"first": 18, "second": 12}  # 60 and 40 images of 10 an epoch


def test_the_steps_of_a_budget_are_the_first_of_a_longer_training(make: Make, recorder: Any) -> None:
    short, long = recorder(), recorder()
    make(rules=FitRules(batch_size=4, images_presented=36)).run(short)
    make(rules=FitRules(batch_size=4, epochs=3)).run(long)
    assert [s for s in short.steps if s[0] == "first"] == [s for s in long.steps if s[0] == "first"][:5]


def test_epochs_win_over_a_budget(make: Make, recorder: Any) -> None:
    done = make(rules=FitRules(batch_size=4, epochs=2, images_presented=1000))
    done.run(recorder(shares=(1.0, 1.0)))
    assert done.epochs == {"first": 2, "second": 2}


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ((1.0, 1.0), "phase second asks for the share 1 of a training budget of 40 images, and the phases so far for 2"),
        ((0.0, 1.0), "phase first asks for the share 0 of a training budget"),
    ],
)
def test_shares_that_are_no_parts_of_a_budget_are_refused(
    make: Make, recorder: Any, shares: tuple[float, float], message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        make(rules=FitRules(batch_size=4, images_presented=40)).run(recorder(shares=shares))
    make().run(recorder(shares=shares))  # without a budget they mean nothing


@pytest.mark.parametrize("stop_after", [4, 5, 7, 8, 12])
def test_a_budget_s_training_goes_on_from_a_checkpoint_in_the_cut_epoch(make: Make, recorder: Any, stop_after: int) -> None:
    rules = FitRules(batch_size=4, images_presented=50)  # 8 steps a phase, 2 of them in the last epoch
    whole, stopped, resumed = recorder(), recorder(), recorder()
    done = make(rules=rules)
    done.run(whole)
    done.checkpoint.remove()
    with pytest.raises(InterruptedRunError, match=r"epoch \d of 3, step \d of [23]"):
        make(rules=rules, stop=lambda: len(stopped.steps) >= stop_after).run(stopped)
    again = make(rules=rules)
    again.run(resumed)
    assert stopped.steps + resumed.steps == whole.steps
    assert (again.presented, again.curves) == (done.presented, done.curves)
    assert torch.equal(resumed.state()["weight"], whole.state()["weight"])


def test_the_seed_decides_everything_and_the_world_outside_nothing(make: Make, recorder: Any) -> None:
    states = []
    for seed, outside in ((1, 10), (1, 20), (2, 10)):
        detector = recorder()
        torch.manual_seed(outside)
        make(seed=seed).run(detector)
        states.append(detector.state()["weight"])
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def test_training_leaves_the_global_random_state_alone(make: Make, recorder: Any) -> None:
    detector = recorder()
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    make().run(detector)
    assert torch.equal(torch.rand(3), expected)


def test_phases_must_have_names_of_their_own(make: Make, recorder: Any) -> None:
    class Twice(recorder):  # type: ignore[misc]  # a class that a fixture hands over
        def phases(self, images: Images, context: FitContext) -> Iterator[Phase]:
            yield self._phase("same", self.first)
            yield self._phase("same", self.second)

    with pytest.raises(TrainingError, match="two phases are called 'same'"):
        make().run(Twice())


def test_a_detector_s_own_draws_go_on_and_come_again_with_the_seed(make: Make) -> None:
    draws = []
    for seed in (1, 1, 2):
        context = make(seed=seed)
        draws.append([float(torch.rand(1, generator=context.generator)) for _ in range(3)])
    assert len(set(draws[0])) == 3
    assert draws[0] == draws[1] != draws[2]


def test_listeners_hear_each_epoch_with_its_losses(make: Make, recorder: Any) -> None:
    heard: list[Moment] = []
    make(listen=heard.append).run(recorder())
    assert [(m.phase, m.done, m.total) for m in heard] == [(name, e, 3) for name in ("first", "second") for e in (1, 2, 3)]
    assert all(m.losses["loss"] > 0 for m in heard)


def test_no_training_image_and_too_little_memory_are_said(make: Make, recorder: Any, noise: Any) -> None:
    with pytest.raises(TrainingError, match="no training image"):
        make(images=noise(0)).run(recorder())

    class Hungry(recorder):  # type: ignore[misc]  # a class that a fixture hands over
        def _phase(self, name: str, layer: torch.nn.Linear) -> Phase:
            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(TrainingError, match="out of memory at batch size 4; lower it with --set batch_size=N"):
        make().run(Hungry())


class Mean(FittedDetector):
    """The mean image, learnt in one go."""

    def fit(self, images: Images, context: FitContext) -> None:
        for image in range(len(images)):
            context.progress(image, len(images))
            context.log("seen", image, image)
        self.drawn = torch.rand(2, generator=context.generator)
        self.mean = images.batch(torch.arange(len(images))).mean(dim=0)

    def score(self, images: Tensor) -> Tensor:
        return (images - self.mean).square().flatten(1).mean(dim=1)

    def state(self) -> dict[str, Tensor]:
        return {"mean": self.mean}

    def load(self, state: Mapping[str, Tensor]) -> None:
        self.mean = state["mean"]


def test_a_detector_that_fits_itself_logs_shows_progress_and_can_be_stopped(make: Make) -> None:
    heard: list[Moment] = []
    done, detector = make(listen=heard.append), Mean()
    done.run(detector)
    assert [(p.phase, p.epoch, p.name, p.value) for p in done.curves][:2] == [("fit", 0, "seen", 0.0), ("fit", 1, "seen", 1.0)]
    assert (len(heard), done.presented) == (10, 10)
    again = Mean()
    make().run(again)
    assert torch.equal(detector.drawn, again.drawn)
    with pytest.raises(InterruptedRunError, match="stopped during fit"):
        make(stop=lambda: True).run(Mean())
    budgeted = make(rules=FitRules(batch_size=4, images_presented=1000))
    budgeted.run(Mean())
    assert budgeted.presented == 10  # one pass, whatever the budget


@pytest.mark.gpu
def test_on_a_gpu_a_run_can_be_stopped_and_gone_on(make: Make, recorder: Any, noise: Any) -> None:
    """A GPU's sums may differ in the last bits; the order of images and the random draws may not."""
    device = torch.device("cuda", 0)

    class OnGpu(noise):  # type: ignore[misc]  # a class that a fixture hands over
        def batch(self, indices: Tensor) -> Tensor:
            chosen: Tensor = self.pixels.to(device)[indices]
            return chosen

    class GpuRecorder(recorder):  # type: ignore[misc]  # a class that a fixture hands over
        def __init__(self) -> None:
            super().__init__()
            self.first.to(device)
            self.second.to(device)

        def _phase(self, name: str, layer: torch.nn.Linear) -> Phase:
            optimiser = torch.optim.Adam(layer.parameters(), lr=0.05)

            def step(batch: Step) -> Mapping[str, Tensor]:
                self.steps.append((name, batch.epoch, batch.index, batch.indices.tolist()))
                noise = torch.rand(len(batch.images), 4, generator=batch.generator, device=device)
                loss = (torch.dropout(layer(batch.images.flatten(1)), 0.5, train=True) - noise).square().mean()
                optimiser.zero_grad()
                torch.autograd.backward(loss)
                optimiser.step()
                return {"loss": loss.detach()}

            return Phase(name, {name: layer}, {name: optimiser}, self.epochs, step)

    on_gpu: dict[str, Any] = {"images": OnGpu(), "device": device}
    whole = GpuRecorder()
    make(**on_gpu).run(whole)
    stopped, resumed = GpuRecorder(), GpuRecorder()
    with pytest.raises(InterruptedRunError):
        make(**on_gpu, stop=lambda: len(stopped.steps) >= 4).run(stopped)
    make(**on_gpu).run(resumed)
    assert stopped.steps + resumed.steps == whole.steps
    torch.testing.assert_close(resumed.state()["weight"], whole.state()["weight"], rtol=1e-5, atol=1e-6)


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:Synchronization debug mode")  # torch calls it a prototype each time it is asked for
def test_an_epoch_reads_nothing_back_from_the_gpu(make: Make, monkeypatch: pytest.MonkeyPatch, noise: Any) -> None:
    device = torch.device("cuda", 0)
    pixels: Tensor = noise().pixels.to(device)

    class OnGpu(noise):  # type: ignore[misc]  # a class that a fixture hands over
        def batch(self, indices: Tensor) -> Tensor:
            return pixels[indices]

    layer = torch.nn.Linear(64, 4).to(device)
    optimiser = torch.optim.Adam(layer.parameters(), capturable=True)

    def step(batch: Step) -> Mapping[str, Tensor]:
        loss = layer(batch.images.flatten(1)).square().mean()
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        return {"loss": loss.detach()}

    run = make(images=OnGpu(), device=device)
    phase = Phase("p", {"l": layer}, {"o": optimiser}, 1, step)
    real_finite = run._finite

    def finite(phase: Phase, epoch: int, losses: Any) -> dict[str, float]:
        torch.cuda.set_sync_debug_mode("default")  # the epoch is over; now values are read
        return real_finite(phase, epoch, losses)

    monkeypatch.setattr(run, "_finite", finite)
    length = run._length(phase)
    batches = run._batches(phase, 0, length.steps)
    monkeypatch.setattr(run, "_batches", lambda *_: batches)
    torch.cuda.set_sync_debug_mode("error")
    try:
        run._run_epoch(phase, 0, length, None)
    finally:
        torch.cuda.set_sync_debug_mode("default")
