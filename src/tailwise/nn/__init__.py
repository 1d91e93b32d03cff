"""Networks and their parts: backbones with an attribute ``out_features``, classifier heads, and both combined."""

from tailwise._optional import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__, extra="torch")
