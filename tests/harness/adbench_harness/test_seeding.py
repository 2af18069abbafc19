from __future__ import annotations

import torch

from adbench_harness import seeding

CPU = torch.device("cpu")


def test_streams_differ_by_seed_and_purpose_and_are_fixed() -> None:
    assert seeding.derive(0, "order", 1) == 7531082860615436250
    seeds = {seeding.derive(seed, *purpose) for seed in (0, 1) for purpose in (("a",), ("a", 0), ("b",), ("a", 1))}
    assert len(seeds) == 8
    assert all(0 <= seed < 2**63 for seed in seeds)
    one, two = (torch.rand(3, generator=seeding.generator(CPU, 5, "x")) for _ in range(2))
    assert torch.equal(one, two)


def test_the_global_state_is_put_back() -> None:
    torch.manual_seed(3)
    with seeding.isolated(CPU):
        seeding.seed_global(1, "x")
        state = seeding.global_state(CPU)
        first = torch.rand(2)
        seeding.restore_global(state, CPU)
        assert torch.equal(torch.rand(2), first)
    inside = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(torch.rand(1), inside)
