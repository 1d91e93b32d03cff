from ._balanced import ClassBalancedSampler as ClassBalancedSampler
from ._balanced import ClassSampler as ClassSampler
from ._balanced import PowerSampler as PowerSampler
from ._balanced import ProgressivelyBalancedSampler as ProgressivelyBalancedSampler
from ._balanced import SquareRootSampler as SquareRootSampler
from ._epochs import EpochSampler as EpochSampler
from ._epochs import ShuffleSampler as ShuffleSampler
