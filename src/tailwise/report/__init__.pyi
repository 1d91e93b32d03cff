from .contents import Example as Example
from .contents import Report as Report
from .contents import thumbnail as thumbnail
from .page import render as render
from .page import write_report as write_report
from .tested import report_on as report_on
from .words import verdict as verdict
