"""Samplers: torch ``Sampler`` objects that choose the examples of each epoch, and shard themselves over processes."""

from tailwise._optional import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__, extra="torch")
