from .contents import Example as Example
from .contents import Report as Report
from .contents import thumbnail as thumbnail
from .page import render as render
from .page import write_report as write_report
from .words import verdict as verdict
