from __future__ import annotations

import pytest
import torch

from adbench_harness.api import OptionError, TrainingError
from adbench_harness.device import choose_device, describe, memory_named, peak_memory, reproducible


def test_auto_takes_a_gpu_where_there_is_one() -> None:
    chosen = choose_device("auto")
    assert chosen.type == ("cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu")
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("word", ["gpu", "tpu", "cuda:99", "meta"])
def test_a_device_that_is_not_there_is_refused(word: str) -> None:
    with pytest.raises(OptionError, match=f"--device {word}: "):
        choose_device(word)


def test_conditions_are_recorded() -> None:
    compute = describe(torch.device("cpu"), "float32")
    assert (compute.device, compute.threads, compute.dtype, compute.torch) == (
        "cpu",
        torch.get_num_threads(),
        "float32",
        torch.__version__,
    )
    assert peak_memory(torch.device("cpu")) is None


def test_running_out_of_memory_says_what_to_lower() -> None:
    for error in (
        MemoryError(),
        torch.OutOfMemoryError("x"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
    ):
        with pytest.raises(TrainingError, match="batch size 32; lower it"), memory_named(32):
            raise error
    with pytest.raises(NotImplementedError), memory_named(32):  # a RuntimeError, but not of memory
        raise NotImplementedError
    with pytest.raises(RuntimeError, match="shape mismatch"), memory_named(32):
        raise RuntimeError("shape mismatch")


def test_a_gpu_is_asked_for_numbers_that_can_be_had_again_and_only_as_long_as_we_compute() -> None:
    def asked() -> tuple[bool, ...]:
        cudnn = torch.backends.cudnn
        return cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32, cudnn.benchmark, cudnn.deterministic

    before = asked()
    with reproducible():
        assert asked() == (False, False, False, True)
    assert asked() == before


@pytest.mark.gpu
def test_a_gpu_trains_to_the_same_bits_each_time() -> None:
    def trained() -> torch.Tensor:
        torch.manual_seed(0)
        network = torch.nn.Sequential(
            torch.nn.Conv2d(3, 64, 4, 2, 1, bias=False),
            torch.nn.BatchNorm2d(64),
            torch.nn.LeakyReLU(0.2),
            torch.nn.Conv2d(64, 128, 4, 2, 1, bias=False),
            torch.nn.ConvTranspose2d(128, 64, 4, 2, 1, bias=False),
            torch.nn.Upsample(scale_factor=2),
            torch.nn.Conv2d(64, 3, 3, padding=1),
        ).to("cuda")
        optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
        images = torch.rand(32, 3, 128, 128, device="cuda")
        for _ in range(100):
            optimiser.zero_grad()
            ((network(images) - images) ** 2).mean().backward()
            optimiser.step()
        with torch.no_grad():
            found: torch.Tensor = network(images).cpu()
        return found

    with reproducible():
        assert torch.equal(trained(), trained())


@pytest.mark.gpu
def test_a_gpu_is_described_by_its_name() -> None:
    device = choose_device("cuda")
    assert describe(device, "float32").device_name == torch.cuda.get_device_name(0)
    assert peak_memory(device) is not None


def test_one_gpu_is_as_good_as_another_of_its_name_and_threads_count_on_a_processor_alone() -> None:
    cpu = describe(torch.device("cpu"), "float32")
    assert cpu.differences(cpu) == []
    assert cpu.differences(cpu.model_copy(update={"threads": 99})) == [f"threads {cpu.threads} is now 99"]
    gpu = cpu.model_copy(update={"device": "cuda:0", "device_name": "H100"})
    assert gpu.differences(gpu.model_copy(update={"device": "cuda:3", "threads": 99})) == []
    assert gpu.differences(gpu.model_copy(update={"device_name": "T4"})) == ["device_name 'H100' is now 'T4'"]
