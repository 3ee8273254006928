from os.path import join  # noqa: F401 (is nobody's to call)

from chappe.snipe import request


@request
def hello(c, params):
    return {"uid": c.uid}


def _private(c, params):
    return {}
