from ._classifier import TailClassifier as TailClassifier
from ._model import Answer as Answer
from ._model import Model as Model
from ._objective import Objective as Objective
