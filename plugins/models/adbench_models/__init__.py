"""Detectors that ship with adbench, one file each; they come in by the entry point that anyone's do."""
