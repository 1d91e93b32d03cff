from .look import diagnose as diagnose
from .overlap import copies as copies
from .result import Column as Column
from .result import Diagnosis as Diagnosis
from .result import Duplicates as Duplicates
from .result import Finding as Finding
