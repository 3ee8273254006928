# Written by scripts/stubs.py from the package's sources.
from service.asyncore_with_timer import *
