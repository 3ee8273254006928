"""The commands that the package has and the core only names; the core has read their arguments already."""

from __future__ import annotations


def run(words: list[str]) -> int:
    """Runs ``words``, a command's name and its arguments; what goes wrong is told. Answers the exit code.

    Raises ValueError when there is no such command.
    """
    try:
        match words:
            case ["mod", "check", *rest]:
                from chappe.check.__main__ import main as check

                return check(rest)
            case ["mod", "new", *rest]:
                from chappe.scaffold.__main__ import main as new

                return new(rest)
            case ["client", *rest]:
                from chappe.client.__main__ import main as client

                return client(rest)
            case _:
                raise ValueError(f"no command `{' '.join(words[:2])}`")
    except SystemExit as error:  # argparse has told
        return error.code if isinstance(error.code, int) else 1
