"""From the bytes of a file to text: the encoding, the line ends, the tabs.

Python 2 took the bytes of a string as they stood, and a tab reached to the next multiple of 8. Python 3 wants an encoding and
refuses mixed indentation, so both are settled here, before any parser sees the text.
"""

from __future__ import annotations

import codecs
import re

_CODING = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")


def declared_encoding(data: bytes) -> str | None:
    """The encoding that a coding line (line 1 or 2) or a byte order mark names, None without one or when no codec has that name."""
    if data.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    for line in data.split(b"\n", 2)[:2]:
        match = _CODING.match(line)
        if match:
            try:
                return codecs.lookup(match.group(1).decode("ascii")).name
            except (LookupError, UnicodeDecodeError):
                return None
        if line.strip() and not line.lstrip().startswith(b"#"):
            return None
    return None


def decode(data: bytes) -> str:
    """The text of a source file, line ends as ``\\n``.

    Tried in this order: the declared encoding, utf-8, gb18030 (which holds gbk and gb2312), latin-1. Files whose coding line is
    wrong are common (saved as gbk under a utf-8 line), so a declaration is believed only when it decodes.
    """
    for name in (declared_encoding(data), "utf-8-sig", "gb18030"):
        if name is None:
            continue
        try:
            text = data.decode(name)
            break
        except (UnicodeDecodeError, LookupError):
            continue
    else:
        text = data.decode("latin-1")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text if text.endswith("\n") else text + "\n"


def expand_tabs(text: str, string_lines: set[int]) -> str:
    """``text`` with the tabs of each line's indentation expanded to multiples of 8 columns.

    ``string_lines`` are the numbers (from 1) of the lines that begin inside a string: these are left as they are.
    """
    if "\t" not in text and "\f" not in text:
        return text
    lines = text.split("\n")
    for index, line in enumerate(lines):
        if index + 1 in string_lines:
            continue
        body = line.lstrip(" \t\f")
        indent = line[: len(line) - len(body)]
        if "\t" in indent or "\f" in indent:
            lines[index] = " " * _columns(indent) + body
    return "\n".join(lines)


def _columns(indent: str) -> int:
    column = 0
    for char in indent:
        if char == "\t":
            column = (column // 8 + 1) * 8
        elif char == "\f":
            column = 0
        else:
            column += 1
    return column
