"""Published systems, one file each: which parts they join, stage by stage, and nothing else."""

from tailwise._optional import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
