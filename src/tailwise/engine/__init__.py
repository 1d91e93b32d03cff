"""Stage-based training."""
