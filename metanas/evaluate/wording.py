"""Numbers as a report says them; what is missing is a dash, so that a table never has a hole."""

import math
from collections.abc import Mapping

MISSING = "\N{EN DASH}"


def percent(value: object, ci95: object = None) -> str:
    """An accuracy in [0, 1], with half the width of its 95 % interval when there is one.

    >>> percent(0.8123, 0.0107), percent(0.5), percent(None)
    ('81.2 ± 1.1 %', '50.0 %', '–')
    """
    if not isinstance(value, int | float):
        return MISSING
    # The interval of a single episode is infinite.
    spread = f" ± {100 * ci95:.1f}" if isinstance(ci95, int | float) and math.isfinite(ci95) else ""
    return f"{100 * value:.1f}{spread} %"


def task_shape(result: Mapping[str, object]) -> str:
    """The shape of the episodes of result.json.

    >>> task_shape({"n_way": 5, "k_shot": 1}), task_shape({"n_way": 50, "k_shot": 10, "varied": True})
    ('5-way 1-shot', 'up to 50-way, up to 10-shot')
    """
    varied = "up to " if result.get("varied") else ""
    return f"{varied}{result['n_way']}-way{',' if varied else ''} {varied}{result['k_shot']}-shot"


def nats(value: object) -> str:
    """An entropy.

    >>> nats(1.234)
    '1.23 nats'
    """
    return f"{value:.2f} nats" if isinstance(value, int | float) else MISSING


def points(value: object) -> str:
    """A difference of accuracies in percentage points.

    >>> points(0.0012)
    '0.12 points'
    """
    return f"{100 * value:.2f} points" if isinstance(value, int | float) else MISSING


def difference(value: object, ci95: object) -> str:
    """A difference of accuracies in percentage points with half the width of its 95 % interval.

    >>> difference(0.0123, 0.004), difference(-0.5, 0.01), difference(None, None)
    ('+1.2 ± 0.4', '−50.0 ± 1.0', '–')
    """
    if not isinstance(value, int | float) or not isinstance(ci95, int | float):
        return MISSING
    sign = "\N{MINUS SIGN}" if value < 0 else "+"
    return f"{sign}{100 * abs(value):.1f} ± {100 * ci95:.1f}"


def count(value: object) -> str:
    """A number of things, short.

    >>> count(37), count(12345), count(900_000), count(2.5e9)
    ('37', '12.3 k', '900 k', '2.50 G')
    """
    if not isinstance(value, int | float):
        return MISSING
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            scaled = value / size
            return f"{scaled:.{0 if scaled >= 100 else 1 if scaled >= 10 else 2}f} {unit}"
    return f"{value:g}"


def seconds(value: object) -> str:
    """A short time.

    >>> seconds(0.0834), seconds(4.26), seconds(100)
    ('83 ms', '4.3 s', '1 min 40 s')
    """
    if not isinstance(value, int | float):
        return MISSING
    if value < 1:
        return f"{1000 * value:.{0 if value >= 0.01 else 1}f} ms"
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def plain(value: object) -> str:
    """Words as they are, without underscores; numbers with three digits.

    >>> plain("child_tuned"), plain(0.83456), plain(1500), plain(None)
    ('child tuned', '0.835', '1,500', '–')
    """
    if isinstance(value, str):
        return value.replace("_", " ")
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.3g}" if isinstance(value, float) else MISSING
