from ._case_control import CaseControlClassifier as CaseControlClassifier
from ._case_control import capped_counts as capped_counts
from ._weighted import WeightedClassifier as WeightedClassifier
