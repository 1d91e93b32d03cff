from ._devices import computes_bfloat16 as computes_bfloat16
from ._devices import meet as meet
from ._devices import of_first as of_first
from ._devices import seeded_by as seeded_by
from ._predict import predict as predict
from ._train import plan_stages as plan_stages
from ._train import train as train
