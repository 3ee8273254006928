# Written by scripts/stubs.py from the package's sources.
"""``common.utils.mcmath``: the vectors of the game's scripts. Nothing of them needs the game."""

from chappe.apollo.mcmath import Vector3 as Vector3

