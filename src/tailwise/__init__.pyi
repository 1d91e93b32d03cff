from .errors import MissingExtraError as MissingExtraError
from .errors import TailwiseError as TailwiseError

__version__: str
