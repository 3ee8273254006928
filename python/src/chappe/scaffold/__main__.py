"""`python -m chappe.scaffold NAME [--dir DIR]`: 0 done, 1 could not, 2 wrong arguments."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from . import ScaffoldError, scaffold


def main(arguments: Sequence[str] | None = None) -> int:
    """Makes the mod that the arguments name and says what to do with it. Answers the exit code."""
    parser = argparse.ArgumentParser(prog="chappe mod new", description="Makes a new mod with a lobby, a service and a client half.")
    parser.add_argument("name", metavar="NAME", help="letters, digits and underscores")
    parser.add_argument("--dir", type=Path, default=Path(), metavar="DIR", help="where to make its directory (default: here)")
    options = parser.parse_args(arguments)
    try:
        files = scaffold(options.name, options.dir)
    except (ScaffoldError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    root = options.dir / options.name
    for file in files:
        print(file)
    print(f"\nrun it:    chappe up {root / 'deploy.json'}\ncheck it:  chappe mod check {root / 'deploy.json'}\ntest it:   cd {root} && pytest")
    return 0


if __name__ == "__main__":
    sys.exit(main())
