from ._flip_crop import FlipCrop as FlipCrop
from ._mixup import Mixup as Mixup
