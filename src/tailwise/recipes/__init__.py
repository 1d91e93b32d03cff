"""Published systems, a file for each family: which parts they combine, stage by stage, and nothing else.

"Measured" in a recipe's docstring is its mean gain in balanced accuracy over plain training, of three seeds, with its
defaults and short trainings; benchmarks/recipes.py makes the numbers, benchmarks/results/recipes.md has them with their
intervals.
"""

from tailwise._optional import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
