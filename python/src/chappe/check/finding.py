"""What is found, and how it is shown: as text, one line each, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import Enum


class Severity(str, Enum):
    """An error will not work; a warning probably is not what was meant."""

    ERROR = "error"
    WARNING = "warning"


E, W = Severity.ERROR, Severity.WARNING

#: Every code with its severity. Codes are stable: scripts may rely on them.
CODES: dict[str, Severity] = {
    "unknown-system": E,
    "no-sender": E,
    "engine-event-role": E,
    "engine-event-name": W,
    "no-listener": W,
    "rpc-unknown-module": E,
    "rpc-unknown-method": E,
    "no-handler": E,
    "notification-form": E,
    "request-unknown": E,
    "request-unmarked": E,
    "role-call": E,
    "role-module": E,
    "role-base": E,
    "call-arguments": E,
    "id-kind": E,
    "id-name": W,
    "handler-missing": E,
    "handler-not-callable": E,
    "handler-arguments": E,
    "duplicate-system": E,
    "duplicate-package": E,
    "no-class": E,
    "missing-modmain": E,
    "missing-mod": E,
    "client-mod-on-server": E,
    "nothing-for-node": W,
    "unsupported-node": W,
    "json-syntax": E,
    "json-duplicate-key": W,
    "json-null": W,
    "json-lenient": W,
    "python-syntax": E,
    "import-missing": E,
    "import-name": E,
    "import-unsure": W,
    "api-name": E,
    "api-missing": W,
}


@dataclass(frozen=True, order=True)
class Finding:
    """One mistake. `line` and `column` count from 1, in characters of the file as it is on the disk."""

    file: str
    line: int
    column: int
    code: str
    message: str

    @property
    def severity(self) -> Severity:
        """What `CODES` says of the code."""
        return CODES[self.code]

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.severity.value}: {self.message} [{self.code}]"


@dataclass(frozen=True)
class Summary:
    """What was looked at. `unknown` counts places that are no constants, so that nothing could be said of them."""

    files: int
    mods: int
    nodes: int
    unknown: int
    game_events: int


@dataclass(frozen=True)
class Report:
    """All findings, by file and line, and what was looked at."""

    findings: tuple[Finding, ...]
    summary: Summary

    @classmethod
    def of(cls, findings: Iterable[Finding], summary: Summary) -> Report:
        """Sorts the findings and drops those said twice (a mod of many nodes is one mistake)."""
        return cls(tuple(sorted(set(findings))), summary)

    def count(self, severity: Severity) -> int:
        """How many findings are of that severity."""
        return sum(finding.severity is severity for finding in self.findings)

    @property
    def ok(self) -> bool:
        """Whether there is no error; warnings are let pass."""
        return self.count(Severity.ERROR) == 0

    def errors_only(self) -> Report:
        """Without its warnings."""
        return Report(tuple(finding for finding in self.findings if finding.severity is Severity.ERROR), self.summary)

    def text(self) -> str:
        """One line a finding and a summary line, with a newline at the end."""
        return "".join(f"{finding}\n" for finding in self.findings) + self._last_line() + "\n"

    def json(self) -> str:
        """`{"findings": [{file, line, column, code, message, severity}], "summary": {...}}`."""
        findings = [asdict(finding) | {"severity": finding.severity.value} for finding in self.findings]
        totals = {"errors": self.count(E), "warnings": self.count(W)} | asdict(self.summary)
        return json.dumps({"findings": findings, "summary": totals}, ensure_ascii=False, indent=2) + "\n"

    def _last_line(self) -> str:
        told = f"{_many(self.count(E), 'error')}, {_many(self.count(W), 'warning')}"
        seen = f"{_many(self.summary.files, 'file')}, {_many(self.summary.mods, 'mod')}"
        if self.summary.nodes:
            seen += f", {_many(self.summary.nodes, 'node')}"
        line = f"{told}; looked at {seen}"
        if self.summary.game_events:
            line += f"; {_many(self.summary.game_events, 'listener')} for the game's own events, which nobody raises outside it"
        if self.summary.unknown:
            line += f"; unknown: {_many(self.summary.unknown, 'place')} that could not be followed"
        return line


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
