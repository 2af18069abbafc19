"""A stored, trained detector on new images: found, loaded and checked, then scores, verdicts and maps."""
