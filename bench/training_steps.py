"""What an optimiser step costs, against the same mathematics in the plain form: python bench/training_steps.py [ROUNDS] [DEVICE].

The plain form steps with the gradients of all that leads to a loss, keeps the teacher in the graph, and enlarges before it convolves. Both forms alternate
in one run on the same images (32 of 128 x 128), so that what else the machine does slows both. Steps are timed by the wall
clock and, on a CPU, by processor seconds, which are steadier.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name every reader of PyTorch code expects
from torch.optim import Adam, Optimizer

from adbench_harness.api import BuildContext
from adbench_models import f_anogan, ganomaly, multikd
from adbench_models.optimisation import descend

BATCH = 32
SIZE = 128

Step = Callable[[], object]


def plain_descend(loss: Tensor, optimiser: Optimizer) -> None:
    """A step that computes the gradient of everything that asks for one."""
    optimiser.zero_grad(set_to_none=True)
    torch.autograd.backward(loss, retain_graph=True)
    optimiser.step()


def enlarge_and_convolve(self: f_anogan.UpsampledConv2d, images: Tensor) -> Tensor:
    """UpsampledConv2d in two steps."""
    return F.conv2d(F.interpolate(images, scale_factor=2, mode="nearest"), self.weight, self.bias, padding=1)


@contextmanager
def plain() -> Iterator[None]:
    """Everything in the plain form."""
    with (
        patch.object(f_anogan, "descend", plain_descend),
        patch.object(ganomaly, "descend", plain_descend),
        patch.object(f_anogan.UpsampledConv2d, "forward", enlarge_and_convolve),
    ):
        yield


def f_anogan_steps(context: BuildContext, real: Tensor) -> Iterator[tuple[str, Step, Step]]:
    """Critic, generator and encoder; the plain encoder step leaves generator and critic with their gradients."""
    made = f_anogan.FAnoGAN(f_anogan.FAnoGANOptions(), context)
    made.networks.train()
    noise = torch.randn(BATCH, f_anogan.LATENT, device=context.device)
    mix = torch.rand(BATCH, 3, 1, 1, device=context.device)
    generator, critic, encoder = (Adam(network.parameters(), lr=2e-4) for network in made.networks.values())
    yield (
        "f-AnoGAN critic",
        lambda: made.step_critic(real, noise, mix, critic),
        lambda: made.step_critic(real, noise, mix, critic),
    )
    yield "f-AnoGAN generator", lambda: made.step_generator(noise, generator), lambda: made.step_generator(noise, generator)

    def encode(others_learn: bool) -> None:
        made.generator.eval().requires_grad_(others_learn)
        made.critic.eval().requires_grad_(others_learn)
        made.step_encoder(real, encoder)

    yield "f-AnoGAN encoder", lambda: encode(False), lambda: encode(True)


def ganomaly_steps(context: BuildContext, real: Tensor) -> Iterator[tuple[str, Step, Step]]:
    """Both networks' step."""
    made = ganomaly.GANomaly(ganomaly.GANomalyOptions(), context)
    made.generator.train()
    made.discriminator.train()
    optimisers = Adam(made.generator.parameters(), lr=2e-4), Adam(made.discriminator.parameters(), lr=2e-4)
    stream = torch.Generator(context.device).manual_seed(0)

    def step() -> None:
        losses = made.step(real, *optimisers)
        made.restart_if_collapsed(losses["err_d"], stream)

    yield "GANomaly", step, step


def multikd_steps(context: BuildContext, images: Tensor) -> Iterator[tuple[str, Step, Step]]:
    """The teacher without a graph, and looked up, against the teacher in the graph."""
    for cloner in ("small", "equal"):
        options = multikd.MultiKDOptions.model_validate({"teacher": "random", "cloner": cloner})
        made = multikd.MultiKD(options, context)
        made.cloner.train()
        optimiser = Adam(made.cloner.parameters(), lr=1e-3)
        with torch.no_grad():
            kept = made.teacher(images)

        def step(made: multikd.MultiKD, optimiser: Adam, kept: list[Tensor] | None, graph: bool) -> None:
            made.teacher.requires_grad_(graph)
            with nullcontext() if graph else torch.no_grad():
                taught = kept if kept is not None else made.teacher(images)
            (plain_descend if graph else descend)(made.losses(taught, made.cloner(images))["loss"], optimiser)

        def bound(kept: list[Tensor] | None, graph: bool, made: multikd.MultiKD = made, optimiser: Adam = optimiser) -> Step:
            return lambda: step(made, optimiser, kept, graph)

        yield f"Multi-KD {cloner}", bound(None, False), bound(None, True)
        yield f"Multi-KD {cloner}, teacher looked up", bound(kept, False), bound(None, True)


def timed(step: Step, device: torch.device) -> tuple[float, float]:
    """Wall and processor seconds of one step."""
    wall, processor = time.perf_counter(), time.process_time()
    step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - wall, time.process_time() - processor


def main(rounds: int, device: torch.device) -> None:
    """Print the fastest of the rounds of each form, and how many times faster the one is."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    print(f"{device} ({name}), batch {BATCH} of {SIZE} x {SIZE}, float32; fastest of {rounds}, wall / processor seconds")
    context = BuildContext(device, torch.float32, 3, SIZE, torch.Generator().manual_seed(0))
    images = torch.rand(BATCH, 3, SIZE, SIZE, device=device)
    for steps in (f_anogan_steps, ganomaly_steps, multikd_steps):
        for title, ours, theirs in steps(context, images):
            taken: dict[str, list[tuple[float, float]]] = {"adbench": [], "plain": []}
            for turn in range(rounds + 1):
                for form, one in (("adbench", ours), ("plain", theirs)):
                    with plain() if form == "plain" else nullcontext():
                        seconds = timed(one, device)
                    if turn > 0:  # the first warms up
                        taken[form].append(seconds)
            best = {form: [min(column) for column in zip(*times, strict=True)] for form, times in taken.items()}
            words = "   ".join(f"{form} {wall:.3f} / {processor:.2f}" for form, (wall, processor) in best.items())
            print(f"{title:<36}{words}   {best['plain'][0] / best['adbench'][0]:.2f} x")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3, torch.device(sys.argv[2] if len(sys.argv) > 2 else "cpu"))
