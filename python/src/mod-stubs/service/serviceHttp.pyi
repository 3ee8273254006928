# Written by scripts/stubs.py from the package's sources.
from service.serviceHttp import *
