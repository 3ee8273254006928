"""Databases as mods import them: `apolloCommon.mysqlPool`, `redisPool`, `mongoPool` (section 4 of the Apollo specification).

Beside them `extraMysqlPool`, `extraRedisPool`, `extraMongoPool` for more databases, and `workerPool` for a mod's own functions.

```python
pools = chappe.apollo.pools.configure(post=node.post, settings=deploy)   # before the mods are loaded
api.update(pools.surface())                                              # {"apolloCommon.mysqlPool": pools.mysql, ...}
...
pools.close()                                                            # after the mods were destroyed
```

A mod starts a pool with `InitDB(n)`, which allows n threads with a connection each; they start when there is work. Calls
with the same order key run in order, different ones side by side. Each call ends in one callback on the node's main
thread, with None on any error; the error is logged by `chappe.apollo.pools` with the call, the statement cut short and
the mod's file and line. Nothing waits for ever: `call.Limits` and `settings` say how long.

The drivers, PyMySQL, redis and pymongo, are imported when the first call needs one. Settings: see `settings`.
"""

from __future__ import annotations

from .call import Limits, Post, Stats
from .pools import Pools, configure
from .settings import Endpoint, Settings, SettingsError

__all__ = ["Endpoint", "Limits", "Pools", "Post", "Settings", "SettingsError", "Stats", "configure"]
