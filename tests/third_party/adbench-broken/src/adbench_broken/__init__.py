"""Detectors that break one rule each."""
