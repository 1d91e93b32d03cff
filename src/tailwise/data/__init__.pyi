from . import longtail as longtail
from .dataset import Dataset as Dataset
from .longtail import indices_hash as indices_hash
from .longtail import make_long_tailed as make_long_tailed
from .splits import single_example_classes as single_example_classes
from .splits import stratified_folds as stratified_folds
from .splits import stratified_split as stratified_split
