"""Python 3 beside Python 2: loaded as it is."""


def share(total: int, parts: int) -> float:
    return total / parts
