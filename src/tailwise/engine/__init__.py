"""Training in stages, on Lightning Fabric, and prediction.

Examples
--------
A recipe is trained on arrays, here of a class with 90 examples and one with 10:

>>> import numpy as np
>>> from tailwise.engine import predict, train
>>> from tailwise.nn import MLP
>>> from tailwise.recipes import Task, recipe
>>> inputs, labels = np.repeat([[0.0, 0.0], [1.0, 1.0]], [90, 10], axis=0), np.repeat([0, 1], [90, 10])
>>> task = Task(np.bincount(labels), backbone=lambda: MLP(2), epochs=10, batch_size=20)
>>> network = train(recipe("ldam-drw"), task, inputs, labels, progress=False)
>>> predict(network, [[0.0, 0.0], [1.0, 1.0]]).argmax(axis=1).tolist()
[0, 1]
"""

from tailwise._optional import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__, extra="torch")
