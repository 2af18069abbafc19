"""The checks as tests, for a plugin's own repository: one test a rule, by the code that `models check` and `datasets check` run.

``pytest --pyargs adbench_harness.conformance.suite --adbench-model NAME --adbench-dataset NAME``
"""
