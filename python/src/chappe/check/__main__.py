"""`python -m chappe.check PATH... [--json]`: 0 no errors, 1 errors, 2 wrong arguments."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from . import check


def main(arguments: Sequence[str] | None = None) -> int:
    """Checks what the arguments name and prints the report to stdout. Answers the exit code."""
    parser = argparse.ArgumentParser(prog="chappe mod check", description="Finds the mistakes of mods without running them.")
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a mod's directory, a folder of mods, or a deploy.json for the whole network")
    parser.add_argument("--json", action="store_true", help="machine-readable output")
    parser.add_argument("--no-warnings", action="store_true", help="errors only")
    options = parser.parse_args(arguments)
    try:
        report = check(options.paths)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    if options.no_warnings:
        report = report.errors_only()
    sys.stdout.write(report.json() if options.json else report.text())
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
