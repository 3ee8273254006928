# Written by scripts/stubs.py from the package's sources.
from apolloCommon.workerPool import *
