"""Tests of mods: clusters in the test's own process, on virtual time.

```python
def test_a_bank_that_does_not_answer_is_told(cluster):
    cluster.service("service_bank", mods=["mods/bank"])
    cluster.lobby(mods=["mods/lobby"])
    ann = cluster.login(7, "Ann")
    ann.send("shop", "shopClient", "Buy", {"item": 3})
    cluster.advance(2.0)  # the time-out of a request; nothing waits
    assert [event.data for event in ann.received("BuyFailed")] == [{"item": 3}]
```

The fixture ``cluster`` comes with the package (a plugin of pytest). `Cluster` is the same without pytest.
"""

from chappe.testing.client import Client, Received
from chappe.testing.cluster import Cluster, Node
from chappe.testing.errors import HandlerError
from chappe.testing.http import Reply
from chappe.testing.sent import Sent

__all__ = ["Client", "Cluster", "HandlerError", "Node", "Received", "Reply", "Sent"]
