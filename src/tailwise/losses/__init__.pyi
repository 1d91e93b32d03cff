from ._adjusted import BalancedSoftmaxLoss as BalancedSoftmaxLoss
from ._adjusted import LogitAdjustedLoss as LogitAdjustedLoss
from ._margin import LDAMLoss as LDAMLoss
from ._mechanism import adjusted_cross_entropy as adjusted_cross_entropy
from ._weighted import ClassBalancedLoss as ClassBalancedLoss
from ._weighted import CrossEntropyLoss as CrossEntropyLoss
from ._weighted import FocalLoss as FocalLoss
