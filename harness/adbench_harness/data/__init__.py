"""Data on its way to a detector: import, verify, list, prepare."""
