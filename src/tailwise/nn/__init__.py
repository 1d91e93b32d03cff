"""Networks and their parts: backbones with an attribute ``out_features``, classifier heads, and both combined.

Examples
--------
>>> import torch
>>> from tailwise.nn import MLP, Network, tau_normalise
>>> network = Network.linear(MLP(8, widths=(32, 16)), n_classes=5)
>>> network(torch.zeros(4, 8)).shape, network.features(torch.zeros(4, 8)).shape
(torch.Size([4, 5]), torch.Size([4, 16]))
>>> network.head = tau_normalise(network.head)  # after training: the weights of all classes have the same length
>>> network.head.weight.norm(dim=1).round().tolist()
[1.0, 1.0, 1.0, 1.0, 1.0]
"""

from tailwise._optional import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__, extra="torch")
