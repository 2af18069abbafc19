"""What an executor costs beside the runs that it carries out: python bench/scale.py [RUNS] [EXECUTOR ...].

Many runs of next to nothing (a histogram on 60 pictures of 16 x 16, by the plugins in tests/third_party/adbench-tiny) go through each executor
as `adbench run` sends them. Where a run is made, its time is taken, figures and all; what the command took beyond that, a run, is the
executor's. All is taken in one go, so it compares executors on this machine and nothing else. Also: how long until the first
run is back, what the database cost, and the command's largest memory after a tenth of the runs and after all. With `slurm` a
cluster of two machines is started on this one, for which root and the packages slurm-wlm and munge are needed.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from unittest.mock import patch

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
EXECUTORS = ("tiny-queue", "local", "ray")
"""The first makes them in the command's own process: what is left then is the command's work on what came back."""


OPTIONS = {"slurm": {"partition": "normal", "runs_per_job": "50"}}
JOBS = {"slurm": 2}
"""SLURM's two machines of two cores are this one; with 50 runs a job."""


def measure(name: str, runs: int, folder: Path) -> None:
    """Carry runs out, and print what it took."""
    from adbench_harness import registry
    from adbench_harness.executors import driving, ordering
    from adbench_harness.executors.driving import Driver
    from adbench_harness.home import Home, Results
    from adbench_harness.plan import RunRequest
    from adbench_harness.runner import Conditions
    from adbench_harness.store.database import reading
    from adbench_harness.store.intake import Intake

    plugin = registry.executor(name)
    driver = Driver(plugin, plugin.spec.options.parse(OPTIONS.get(name, {})), JOBS.get(name, 1))
    results = Results(folder / name)
    requests = [RunRequest("histogram", "tiny-discs", "tiny-protocol", seed=seed, device="cpu") for seed in range(runs)]
    intake = Intake(results, print)
    spent: list[float] = []

    def timed(outcome: bytes, into: Results) -> ordering.Made:
        made = ordering.taken(outcome, into)
        spent.append(made.seconds)
        return made

    times, memory, ingest = [time.monotonic()], 0, 0.0

    with patch.object(driving, "taken", timed):
        for _, attempt in driver.attempts(requests, Conditions(Home(folder / "home"), results)):
            assert attempt.outcome is not None, attempt.error
            start = time.monotonic()
            intake.add(attempt.outcome.manifest.run_id, attempt.evaluated)
            times.append(time.monotonic())
            ingest += times[-1] - start
            if len(times) == runs // 10:
                memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.monotonic()
    intake.write()
    ingest += time.monotonic() - start
    with reading(results.database) as db:
        (kept,) = db.execute("select count(*) from run").fetchone() or (0,)
    assert kept == runs
    steady = (times[-1] - times[1]) / (runs - 1) * JOBS.get(name, 1)
    each = sum(spent[1:]) / (runs - 1)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{name:10}  {runs} runs: {1000 * each:6.1f} ms a run where it is made, {1000 * (steady - each):6.1f} ms beside it "
        f"(of these {1000 * ingest / runs:.1f} for the database); first back after {times[1] - times[0]:.1f} s; command's memory "
        f"{memory / 1024:.0f} MiB after a tenth, {most / 1024:.0f} MiB in the end",
        flush=True,
    )


def main() -> None:
    """Each executor in a process of its own, one after another."""
    from tests.slurm_cluster import slurm_cluster

    words = sys.argv[1:]
    if words and words[0] == "--one":
        measure(words[1], int(words[2]), Path(words[3]))
        return
    runs = int(words[0]) if words else 2000
    with tempfile.TemporaryDirectory() as place:
        site = Path(place) / "site"
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
        shutil.copytree(ROOT / "tests" / "third_party" / "adbench-tiny", Path(place) / "source")
        subprocess.run([*pip, "--target", site, f"{place}/source"], check=True)
        env = {**os.environ, "PYTHONPATH": str(site), "OMP_WAIT_POLICY": "PASSIVE"}
        for name in words[1:] or EXECUTORS:
            with slurm_cluster(Path(place)) if name == "slurm" else nullcontext() as cluster:
                own = {**env, **(cluster.environment if cluster is not None else {})}
                subprocess.run([sys.executable, __file__, "--one", name, str(runs), place], check=True, env=own)


if __name__ == "__main__":
    main()
