"""adbench: train an anomaly detector on normal images, score every test image, keep every score."""

__version__ = "0.1.0"
