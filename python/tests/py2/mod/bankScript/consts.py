# -*- coding: utf-8 -*-
# Nothing here is Python 2 only, but 7 / 2 must mean what it means in the files beside it.
SERVICE_NAME = "银行"
HALF = 7 / 2
FILE_MODE = 438
