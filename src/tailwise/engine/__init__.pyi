from ._predict import predict as predict
from ._train import train as train
