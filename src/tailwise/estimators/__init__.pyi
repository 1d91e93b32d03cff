from ._classifier import TailClassifier as TailClassifier
from ._label_model import LabelAnswer as LabelAnswer
from ._label_model import LabelModel as LabelModel
from ._label_model import load_model as load_model
from ._model import Answer as Answer
from ._model import Model as Model
from ._multilabel import TailMultilabelClassifier as TailMultilabelClassifier
from ._objective import Objective as Objective
