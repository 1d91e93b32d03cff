"""Losses for long-tailed classes: ``loss(logits, targets)``, as in torch.

Most are one mechanism, :func:`adjusted_cross_entropy`: a scale, margin, bias or weight per class (or per example and
class) and then one fused cross-entropy. Each published loss is a named setting of it, and each is an ``nn.Module``
whose per-class numbers are buffers.

Examples
--------
A loss is made once, from class counts, and then called as torch's; targets may be rows of shares too:

>>> import torch
>>> from tailwise.losses import BalancedSoftmaxLoss, EqualizationLossV2
>>> logits, loss = torch.zeros(2, 2), BalancedSoftmaxLoss([90, 10], reduction="none")
>>> loss(logits, torch.tensor([0, 1]))  # the example of the rare class counts for more
tensor([0.1054, 2.3026])
>>> loss(logits, torch.tensor([[1.0, 0.0], [0.5, 0.5]]))
tensor([0.1054, 1.2040])

One that learns from the batches it sees is called in the same way, and checkpoints keep what it has learned:

>>> loss = EqualizationLossV2(n_classes=2)
>>> [round(float(loss(logits, torch.tensor([0, 0]))), 2) for _ in range(2)]  # soon, class 1 is held down less
[1.39, 0.69]
"""

from tailwise._optional import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__, extra="torch")
