"""Python 2.7 text on today's Python: translated at import, file by file.

```python
import chappe.py2

chappe.py2.install(["mods/bankMod/developer_mods/bankDev"])  # mode="auto"
import bankScript.modMain
```

The way of a file: `source` (bytes to text, tabs) -> `syntax` (Python 2's grammar to Python 3's, line for line, with fissix) ->
`semantics` (what an operation meant becomes a call to `runtime`) -> code, kept by `hook`. A translated module has builtins of its own
(`namespace`), through which it gets Python 2's functions, imports (`stdlib`) and classes (`classes`). No other module sees any of it.
What is handled and what cannot be: docs/en/python2.md.
"""

from .hook import Py2Finder, Py2Loader, default_cache, install, run_path, translate, uninstall
from .verdict import verdict

__all__ = ["Py2Finder", "Py2Loader", "default_cache", "install", "run_path", "translate", "uninstall", "verdict"]
