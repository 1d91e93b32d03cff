"""Samplers: which examples an epoch shows, and how often. torch ``Sampler`` objects that shard themselves."""

from tailwise._optional import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__, extra="torch")
