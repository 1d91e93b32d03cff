"""Samplers: torch ``Sampler`` objects that choose the examples of each epoch, and shard themselves over processes.

Examples
--------
A sampler goes where torch's own would go, as does ``set_epoch``:

>>> import torch
>>> from torch.utils.data import DataLoader, TensorDataset
>>> from tailwise.samplers import ClassBalancedSampler
>>> labels = torch.tensor([0] * 90 + [1] * 10)
>>> sampler = ClassBalancedSampler(labels)
>>> loader = DataLoader(TensorDataset(torch.randn(100, 3), labels), batch_size=50, sampler=sampler)
>>> for epoch in range(2):
...     sampler.set_epoch(epoch)  # another order, and other examples of the common class
...     print(torch.cat([targets for _, targets in loader]).bincount().tolist())
[50, 50]
[50, 50]
"""

from tailwise._optional import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__, extra="torch")
