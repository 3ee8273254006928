"""``python -m chappe.py2 FILE ARGS``: runs a Python 2 program; files beside it are decided one by one."""

import os
import sys

from . import install, run_path

if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python -m chappe.py2 FILE [ARGS]")
    install([os.path.dirname(os.path.abspath(sys.argv[1]))])
    run_path(sys.argv[1], arguments=sys.argv[2:])
