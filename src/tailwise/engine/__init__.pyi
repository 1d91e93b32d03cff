from ._devices import meet as meet
from ._predict import predict as predict
from ._train import train as train
