"""anomalib's image models as detectors of adbench, one module a model; of adbench they import `adbench_harness.api` alone."""
