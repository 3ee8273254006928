"""Notifications that are refused when they are sent: a type of another form, a misspelt or misplaced name of the runtime's."""

from __future__ import annotations

from collections.abc import Iterator

from ..evaluate import Evaluator
from ..finding import Finding
from ..network import Network
from ..records import Field, Record, records
from ..snipe import SnipeCall
from ..suggest import did_you_mean
from ..values import NONE, Callable_, Table, is_constant

VALIDATE = "_validate"
OWN = ("_type", VALIDATE, "_id", "_durable")
OF_VALIDATE = ("func", "onSuccess", "onFail", "id")
CODE = "notification-form"


def misformed(network: Network) -> Iterator[Finding]:
    """The form of all that is sent."""
    for call in network.snipe.calls:
        if call.call == "client.request":
            for kind in network.evaluator.texts(call.args.get("type"), call.scope) or ():
                if not is_type(kind):
                    yield Finding(*call.place, CODE, f'a request\'s type is "module.method", not `{kind}`')
            continue
        for record in records(call.args.get("message"), call.scope, network.evaluator):
            yield from _record(call, record, network.evaluator)
            for validate in record.named(VALIDATE):
                for inner in records(validate.value, validate.scope, network.evaluator):
                    yield from _validate(inner)


def is_type(text: str) -> bool:
    """Whether it is "module.method": split at the last dot, as names of modules may hold dots and slashes."""
    module, _, method = text.rpartition(".")
    return bool(module and method)


def _record(call: SnipeCall, record: Record, evaluator: Evaluator) -> Iterator[Finding]:
    if record.is_whole and not any(record.named("_type")):
        near = next((hint for field in record.fields if (hint := _meant(field, "_type"))), "")
        yield Finding(*call.place, CODE, f'a notification needs `_type`: "module.method"{near}')
    for field in record.fields:
        if field.key == "_type":
            yield from _type(field, "`_type`")
        elif field.key.startswith("_") and field.key not in OWN:
            yield Finding(*field.place, CODE, f"`{field.key}`: names that begin with `_` are the runtime's{did_you_mean(field.key, OWN)}")
        elif field.key == "validate" and _validates(field, evaluator):
            yield Finding(*field.place, CODE, "`validate` is a field like any other; did you mean `_validate`?")
        elif field.key in (VALIDATE, "_durable"):
            yield from _promise(call, field)


def _promise(call: SnipeCall, field: Field) -> Iterator[Finding]:
    """What makes a notification end exactly once: only `server.notify` does."""
    if call.call != "server.notify" and field.is_given():
        lacks = "not validated" if field.key == VALIDATE else "not durable"
        name = call.call.removeprefix("server.")
        yield Finding(*field.place, CODE, f"`{field.key}` is for `server.notify` alone: what `{name}` sends is {lacks}")
    elif is_constant(field.values):
        values = field.values or frozenset()
        if field.key == VALIDATE and not any(isinstance(value, Table) or value is NONE for value in values):
            yield Finding(*field.place, CODE, "`_validate` is a dict: func, onSuccess, onFail and id")
        elif field.key == "_durable" and not any(isinstance(value, bool) for value in values):
            yield Finding(*field.place, CODE, "`_durable` is True or False")


def _validate(record: Record) -> Iterator[Finding]:
    for field in record.fields:
        if field.key not in OF_VALIDATE:
            hint = did_you_mean(field.key, OF_VALIDATE) or "; it has func, onSuccess, onFail and id"
            yield Finding(*field.place, CODE, f"`_validate` has no `{field.key}`{hint}")
        elif field.key != "id":
            yield from _type(field, f"`_validate.{field.key}`", may_be_none=True)


def _type(field: Field, name: str, may_be_none: bool = False) -> Iterator[Finding]:
    values = field.values or frozenset()
    for value in sorted(value for value in values if isinstance(value, str)):
        # One of several may stand for "not set".
        if not is_type(value) and (value or len(values) == 1):
            yield Finding(*field.value_place, CODE, f'{name} is "module.method", not `{value}`')
    if len(values) == 1 and not any(isinstance(value, str) for value in values):
        value = next(iter(values))
        if isinstance(value, Callable_):
            yield Finding(*field.value_place, CODE, f'{name} is a function: its name is wanted, as "module.method"')
        elif is_constant(field.values) and (value is not NONE or not may_be_none):
            yield Finding(*field.value_place, CODE, f'{name} is a text, "module.method"')


def _meant(field: Field, name: str) -> str:
    return did_you_mean(field.key, [name]) and f"; `{field.key}` is none"


def _validates(field: Field, evaluator: Evaluator) -> bool:
    found = records(field.value, field.scope, evaluator)
    return any(inner.key in OF_VALIDATE[:3] for record in found for inner in record.fields)
