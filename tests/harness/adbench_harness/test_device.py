from __future__ import annotations

import pytest
import torch

from adbench_harness.api import OptionError, TrainingError
from adbench_harness.device import choose_device, describe, memory_named, peak_memory


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
