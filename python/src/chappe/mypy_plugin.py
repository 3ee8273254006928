"""A plugin for mypy, which by itself takes no variable for a base class: with it the usual

```python
ServerSystem = serverApi.GetServerSystemCls()

class Bank(ServerSystem): ...
```

is checked as if the class were named. In mypy.ini: ``plugins = chappe.mypy_plugin``. Pyright needs none.
"""

from __future__ import annotations

from collections.abc import Callable

from mypy.nodes import GDEF, SymbolTableNode, TypeInfo
from mypy.plugin import DynamicClassDefContext, Plugin

CLASSES = {
    "GetServerSystemCls": "chappe.apollo.systems.ServerSystem",
    "GetServiceSystemCls": "chappe.apollo.systems.ServiceSystem",
    "GetMasterSystemCls": "chappe.apollo.systems.MasterSystem",
    "GetClientSystemCls": "chappe.client.system.ClientSystem",
}
"""What a variable that holds the call's result stands for."""


class ApolloPlugin(Plugin):
    """Makes ``X = api.GetServerSystemCls()`` a name for the class."""

    def get_dynamic_class_hook(self, fullname: str) -> Callable[[DynamicClassDefContext], None] | None:
        """Called for each assignment of a call."""
        module, _, call = fullname.rpartition(".")
        if call not in CLASSES or not module.rpartition(".")[2].startswith("extra"):
            return None
        return lambda context: _name(context, CLASSES[call])


def _name(context: DynamicClassDefContext, cls: str) -> None:
    found = context.api.lookup_fully_qualified_or_none(cls)
    if found is not None and isinstance(found.node, TypeInfo):
        context.api.add_symbol_table_node(context.name, SymbolTableNode(GDEF, found.node))


def plugin(version: str) -> type[Plugin]:
    """What mypy asks for."""
    return ApolloPlugin
