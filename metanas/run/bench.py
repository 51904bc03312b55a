"""`metanas bench`: seconds, memory and growth, beside the textbook in the same run."""

import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from metanas.bench.contest import LEAN, TEXTBOOK, Contest, both, contests
from metanas.bench.floors import Rates, rates, work_of
from metanas.bench.growth import growth
from metanas.bench.memory import peak_bytes
from metanas.bench.oracle import LEARN2LEARN, child_iteration
from metanas.bench.setting import Setting
from metanas.bench.timing import Times, race
from metanas.bench.ways import COMPILED, OURS, check_compiler
from metanas.config import Experiment
from metanas.config.device import DeviceName
from metanas.run import build


@dataclass(frozen=True)
class Extent:
    """How much is measured."""

    setting: Setting
    """Of few-shot search."""
    search: Setting
    """Of a DARTS search step."""
    images: int
    """In a batch of a search step."""
    rounds: int
    """At most so many repetitions are counted."""
    budget: float
    """Seconds for an item, after which no further round begins."""
    axes: dict[str, tuple[int, ...]]
    """What grows, and to what."""


AXES = {"tasks": (1, 2, 4, 8), "ways": (2, 5, 10), "cells": (2, 4, 6), "channels": (4, 8, 16)}
STANDARD = Extent(Setting(), Setting(cells=5, n_way=10, stem="plain"), 16, 9, 24.0, AXES)
QUICK = Extent(
    Setting(resolution=16, channels=4, nodes=2, n_query=3, steps=2, tasks=2),
    Setting(resolution=16, channels=4, cells=3, nodes=2, n_way=10, stem="plain"),
    4,
    2,
    1.0,
    {"tasks": (1, 2), "ways": (2, 5), "cells": (2, 3), "channels": (2, 4)},
)
GPU = Extent(
    Setting(resolution=84, channels=16, device="cuda"),
    Setting(cells=8, channels=16, n_way=10, stem="plain", device="cuda"),
    64,
    9,
    6.0,
    AXES | {"tasks": (1, 4, 16)},
)
QUICK_GPU = replace(QUICK, setting=replace(QUICK.setting, device="cuda"), search=replace(QUICK.search, device="cuda"))
EPOCHS, HALF = 50, 25_000
"""Of a search of CIFAR-10 as published (DARTS, arXiv 1806.09055): epochs, and images in each half."""


def bench(
    *,
    quick: bool = False,
    compiled: bool = False,
    device: DeviceName = "auto",
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Measures on one CPU thread, or on a GPU, and returns what `--json` prints.

    Args:
        quick: sizes that take less than a minute; their ratios are those of overhead, not of the standard setting.
        compiled: first-order items also as `torch.compile` makes them, which takes minutes for each.
        device: where to measure; `auto` takes a GPU where there is one.
        say: is told what is measured next.
    """
    where = build.device(Experiment(device=device))
    if compiled:
        check_compiler(where)
    extents = (QUICK, STANDARD) if where.type == "cpu" else (QUICK_GPU, GPU)
    extent, began = extents[0 if quick else 1], time.perf_counter()
    items = [
        item
        for pair in zip(both(extent.setting), both(extent.search), strict=True)
        for item in contests(*pair, extent.images, is_compiled=compiled)
    ]
    say("memory")
    memory = [{way: peak_bytes(item.ways[way], where.type) for way in (OURS, TEXTBOOK)} for item in items]
    floor = None if where.type == "cpu" else rates(where.type)
    measured = {
        "rates": None if floor is None else floor._asdict(),
        "items": [_item(item, bytes_, extent, floor, say) for item, bytes_ in zip(items, memory, strict=True)],
        "learn2learn": _learn2learn(extent, say),
        "growth": list(_growth(extent, say)),
    }
    return {
        "device": where.type,
        "processor": _processor() if where.type == "cpu" else torch.cuda.get_device_name(where),
        "threads": torch.get_num_threads(),
        "torch": str(torch.__version__),
        "quick": quick,
        "default_gates": Experiment().relax.kind,
        "setting": asdict(replace(extent.setting)),
        "seconds": time.perf_counter() - began,
        **measured,
    }


def _item(
    item: Contest, memory: dict[str, int], extent: Extent, floor: Rates | None, say: Callable[[str], None]
) -> dict[str, Any]:
    say(f"{item.name}, {item.setting.gates} gates")
    compiling = _compiling(item)
    times = race(item.ways, extent.rounds, extent.budget, item.setting.device)
    ours = times[OURS]
    found = {
        "name": item.name,
        "gates": item.setting.gates,
        **_seconds("seconds", ours),
        **_seconds("seconds_textbook", times[TEXTBOOK]),
        **(_seconds("seconds_lean", times[LEAN]) if LEAN in times else {}),
        "ratio": times[TEXTBOOK].median / ours.median,
        "ratio_lean": times[LEAN].median / ours.median if LEAN in times else None,
        "ways": {way: _seconds("seconds", times[way]) for way in times if way not in (OURS, TEXTBOOK, LEAN)},
        "runs": len(ours.seconds),
        "peak_bytes": memory[OURS],
        "peak_bytes_textbook": memory[TEXTBOOK],
        **compiling,
    }
    if floor is not None:
        work = work_of(_counted(item, extent))
        found |= {**work._asdict(), **floor.shares(work, ours.median)}
        if item.name == "darts_search_step":
            found["search_minutes"] = EPOCHS * -(-HALF // extent.images) * ours.median / 60
    return found


def _compiling(item: Contest) -> dict[str, float]:
    """Seconds of the first call of what compiles, where it takes part."""
    if COMPILED not in item.ways:
        return {}
    began = time.perf_counter()
    item.ways[COMPILED]()
    return {"seconds_to_compile": time.perf_counter() - began}


def _counted(item: Contest, extent: Extent) -> Callable[[], object]:
    """The work of `item` where nothing is computed."""
    setting, search = (
        replace(each, gates=item.setting.gates, device="meta") for each in (extent.setting, extent.search)
    )
    return next(other.core for other in contests(setting, search, extent.images) if other.name == item.name)


def _learn2learn(extent: Extent, say: Callable[[str], None]) -> dict[str, Any]:
    try:
        item = child_iteration(extent.setting)
    except ImportError:
        return {"missing": "learn2learn is not installed; scripts/setup.sh installs it"}
    say(f"{item.name}, learn2learn")
    times = race(item.ways, extent.rounds, extent.budget, extent.setting.device)
    return {
        "name": item.name,
        **_seconds("seconds", times[OURS]),
        **_seconds("seconds_learn2learn", times[LEARN2LEARN]),
        "ratio": times[LEARN2LEARN].median / times[OURS].median,
        "runs": len(times[OURS].seconds),
    }


def _growth(extent: Extent, say: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    for axis, values in extent.axes.items():
        say(f"growth with {axis}")
        yield asdict(growth(extent.setting, axis, values, extent.rounds, extent.budget / 2))


def _seconds(name: str, times: Times) -> dict[str, Any]:
    return {f"{name}_median": times.median, f"{name}_spread": list(times.spread)}


def _processor() -> str:
    """The processor's model, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _or_dash(ratio: float | None) -> str:
    return f"{'-':>6}" if ratio is None else f"{ratio:6.2f}"


def _further(item: dict[str, Any]) -> str:
    """What is measured of an item beside the textbook: our other ways, and on a GPU the floors."""
    found = [f"{way} {seconds['seconds_median']:.4f} s" for way, seconds in item["ways"].items()]
    if "seconds_to_compile" in item:
        found.append(f"compiled in {item['seconds_to_compile']:.0f} s")
    if "kernels" in item:
        shares = (100 * item[f"floor_share_{of}"] for of in ("bytes", "flops"))
        found += [f"{item['kernels']:,} kernels", "floors {:.1f} % (bytes), {:.1f} % (operations)".format(*shares)]
    if "search_minutes" in item:
        found.append(f"{EPOCHS} epochs of CIFAR-10 in {item['search_minutes']:.1f} min")
    return f"{item['name']}, {item['gates']}: {', '.join(found)}"


def lines(result: dict[str, Any]) -> str:
    """The result of `bench` as aligned text."""
    head = (
        f"{'':20} {'gates':17} {'seconds':>9} {'textbook':>9} {'ratio':>6} {'lean':>6} {'peak MB':>8} {'textbook':>9}"
    )
    rows = [f"{result['processor']}, {result['threads']} thread, torch {result['torch']}", head]
    rows += [
        f"{item['name']:20} {item['gates']:17} {item['seconds_median']:9.4f} {item['seconds_textbook_median']:9.4f} "
        f"{item['ratio']:6.2f} {_or_dash(item['ratio_lean'])} {item['peak_bytes'] / 1e6:8.0f} "
        f"{item['peak_bytes_textbook'] / 1e6:9.0f}"
        for item in result["items"]
    ]
    rows += [_further(item) for item in result["items"] if item["ways"] or "kernels" in item]
    other = result["learn2learn"]
    if "missing" in other:
        rows.append(other["missing"])
    else:
        rows.append(
            f"{other['name']} of a child: {other['seconds_median']:.4f} s, learn2learn "
            f"{other['seconds_learn2learn_median']:.4f} s, ratio {other['ratio']:.2f}"
        )
    for axis in result["growth"]:
        speeds = ", ".join(f"{v}: {s:.2f}" for v, s in zip(axis["values"], axis["tasks_per_second"], strict=True))
        rows.append(f"tasks a second by {axis['axis']}: {speeds} (seconds grow with exponent {axis['exponent']:.2f})")
    return "\n".join(rows)
