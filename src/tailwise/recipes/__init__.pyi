from ._base import Recipe as Recipe
from ._base import Stage as Stage
from ._base import Task as Task
from ._base import load_recipes_from as load_recipes_from
from ._base import recipe as recipe
from ._base import recipes as recipes
from ._base import register as register
