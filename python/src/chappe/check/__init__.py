"""Finds the mistakes of mods before the players do: static, by the syntax tree, nothing is imported or run.

Read in this order, which is the one in which data flows::

    deploy.json, mod folders -> layout -> nodes and their mods
    *.py -> source (parse) -> model (modules, classes) -> evaluate (constants) -> calls
    both -> network -> rules -> findings -> report

`check` is the one way in. It follows constants only: where a name, an event or a module is no constant it is silent,
and counts the place, since a wrong finding costs more than a missing one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .finding import CODES, Finding, Report, Severity
from .network import Network
from .rules import RULES

__all__ = ["CODES", "Finding", "Report", "Severity", "check"]


def check(paths: Sequence[str | Path]) -> Report:
    """Checks mod folders together, or the whole network of a deploy.json.

    `paths`: directories of mods and deploy.json files. What is given together is one network: events and requests
    between the mods are known to each other. Only with a deploy.json is it known to be a whole one.

    Raises `FileNotFoundError` for a path that is not there. Everything else that is wrong is a finding.
    """
    network = Network.load([Path(path) for path in paths])
    findings = list(network.findings)
    for rule in RULES:
        findings.extend(rule(network))
    return Report.of(findings, network.summary())
