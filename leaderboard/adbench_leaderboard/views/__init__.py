"""What pages show, worked out of the runs."""
