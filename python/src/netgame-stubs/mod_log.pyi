# Written by scripts/stubs.py from the package's sources.
from mod_log import *
