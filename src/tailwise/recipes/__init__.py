"""Published systems, a file for each family: which parts they combine, stage by stage, and nothing else.

"Measured" in a recipe's docstring is its mean gain in balanced accuracy over plain training, of three seeds, with its
defaults and short trainings; benchmarks/recipes.py makes the numbers, benchmarks/results/recipes.md has them with their
intervals.

Examples
--------
A recipe of your own, whose only field is its hyper-parameter:

>>> from dataclasses import dataclass
>>> from tailwise.losses import FocalLoss
>>> from tailwise.recipes import Recipe, Stage, recipe, register
>>> @register("my-focal", paper="Lin et al., ICCV 2017")
... @dataclass(frozen=True)
... class MyFocal(Recipe):
...     gamma: float = 1.0
...
...     def stages(self, task):
...         yield Stage("learn", loss=FocalLoss(self.gamma))
>>> recipe("my-focal", gamma=3.0)
MyFocal(gamma=3.0)
"""

from tailwise._optional import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
