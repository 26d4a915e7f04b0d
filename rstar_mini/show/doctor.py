"""What works on this machine, one line for each thing."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

HUB = "https://huggingface.co"
HUB_SECONDS = 3.0
SHIPPED = ("train.jsonl", "validation.jsonl", "test.jsonl", "tiny-base", "tiny-evolved")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that works, or does not, and why."""

    works: bool
    name: str
    detail: str

    def __str__(self) -> str:
        return f"[{'ok' if self.works else '--'}] {self.name}: {self.detail}"


class Missing(Exception):
    """Something that does not work, in words."""


def examine() -> Iterator[Finding]:
    """Every check in turn. A check that fails in whatever way is a finding, never an error."""
    checks: dict[str, Callable[[], str]] = {"python": platform.python_version, "torch": _torch, "GPU": _gpu}
    checks |= {name: partial(_package, name) for name in ("transformers", "trl", "peft", "bitsandbytes")}
    checks |= {"sandbox": _sandbox, "math-verify worker": _answers}
    checks |= {f"shipped {name}": partial(_shipped, name) for name in SHIPPED}
    checks |= {"disk": _disk, "model hub": _hub}
    for name, check in checks.items():
        try:
            finding = Finding(True, name, check())
        except Exception as error:  # anything may be broken on a stranger's machine
            reason = str(error) if isinstance(error, Missing) else f"{type(error).__name__}: {error}"
            finding = Finding(False, name, " ".join(reason.split()))
        yield finding


def _torch() -> str:
    import torch

    return f"{torch.__version__}, {torch.get_num_threads()} threads on {os.cpu_count()} cores"


def _gpu() -> str:
    import torch

    if not torch.cuda.is_available():
        raise Missing("none; the tiny recipe needs none")
    return torch.cuda.get_device_name(0)


def _package(name: str) -> str:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise Missing(f"not installed ({error})") from error
    return importlib.metadata.version(name)


def _sandbox() -> str:
    from rstar_mini.sandbox import Sandbox

    with Sandbox() as box:
        result = box.run("print(6 * 7)")
    if result.stdout.strip() != "42":
        raise Missing(f"a program that prints 42 ended with {result.status}: {result.stdout}{result.error}")
    why = f"; no stronger because: {box.missing}" if box.missing else ""
    return f"runs programs, isolation '{box.isolation}'{why}"


def _answers() -> str:
    from rstar_mini.answers import compare

    verdict = compare(r"\sqrt{8}", r"2\sqrt{2}")
    if verdict != "equal":
        raise Missing(f"sqrt(8) and 2 sqrt(2) came out as {verdict}")
    return "compares LaTeX answers"


def _shipped(name: str) -> str:
    from rstar_mini.paths import data_file

    path = data_file(name)
    if not path.exists():
        raise Missing(f"not at {path}; install the package again")
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return f"{sum(file.stat().st_size for file in files) / 1e6:.1f} MB"


def _disk() -> str:
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    if free < 1:
        raise Missing(f"only {free:.1f} GB free here; a tiny run needs about 1 GB")
    return f"{free:.1f} GB free here"


def _hub() -> str:
    if os.environ.get("HF_HUB_OFFLINE"):
        raise Missing("HF_HUB_OFFLINE is set; the tiny recipe needs no hub")
    try:
        with urllib.request.urlopen(urllib.request.Request(HUB, method="HEAD"), timeout=HUB_SECONDS):
            return f"{HUB} answers"
    except urllib.error.HTTPError:
        return f"{HUB} answers"
    except OSError as error:
        raise Missing(f"offline ({getattr(error, 'reason', error)}); the tiny recipe needs no hub") from error
