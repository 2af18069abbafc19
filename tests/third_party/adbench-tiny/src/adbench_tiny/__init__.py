"""A third party's plugins for adbench; they use its public API alone."""
