"""A protocol of small images and two splits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from adbench_harness.api import EvaluationRules, FitRules, ProtocolSpec, Sample, Subset, hash_order, hookimpl

adbench_api = 1


def assign(dataset: str, samples: Sequence[Sample], split: int) -> dict[str, Subset]:
    """Half of the normals are training."""
    order = hash_order([sample.id for sample in samples if sample.label == 0], "tiny", split)
    chosen: dict[str, Subset] = {sample.id: "test" for sample in samples}
    chosen.update((sample_id, "train") for sample_id in order[: len(order) // 2])
    return chosen


@hookimpl
def register_protocols(register: Callable[[ProtocolSpec], None]) -> None:
    """Register the tiny protocol."""
    register(
        ProtocolSpec(
            name="tiny-protocol",
            version=1,
            title="Tiny protocol",
            description="32 x 32 gray, batches of 8.",
            fit=FitRules(image_size=32, colour="gray", batch_size=8),
            evaluation=EvaluationRules(thresholds=("youden",)),
            split_rule="half of the normals by hash",
            assign=assign,
            splits=2,
            seeds=(0, 1),
        )
    )
