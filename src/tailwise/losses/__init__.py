"""Losses for long-tailed classes: ``loss(logits, targets)``, as in torch.

Most are one mechanism, :func:`adjusted_cross_entropy`: a scale, margin, bias or weight per class (or per example and
class) and then one fused cross-entropy. Each published loss is a named setting of it, and each is an ``nn.Module``
whose per-class numbers are buffers.
"""

from tailwise._optional import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__, extra="torch")
