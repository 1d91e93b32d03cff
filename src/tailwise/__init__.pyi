from .errors import MissingExtraError as MissingExtraError
from .errors import TailwiseError as TailwiseError
from .estimators import LabelModel as LabelModel
from .estimators import Model as Model
from .estimators import TailClassifier as TailClassifier
from .estimators import TailMultilabelClassifier as TailMultilabelClassifier
from .estimators import load_model as load_model

__version__: str
