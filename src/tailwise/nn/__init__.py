"""Networks and their parts: backbones with ``out_features``, classifier heads, and the two joined."""

from tailwise._optional import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__, extra="torch")
