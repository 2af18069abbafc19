"""Protocols that ship with adbench; they come in by the entry point that anyone's do."""
