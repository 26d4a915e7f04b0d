"""What a cluster gains and what it costs the driver: `python tests/scale/measure.py workers|engines|problems|kills`.

On one machine, with `pip install -e ".[cluster]"`; nothing else should run beside it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parent.parent))  # small_runs

from small_runs import SMALL, digests

from rstar_mini.api import evolve
from rstar_mini.cluster.pool import Cluster
from rstar_mini.evolution.harvest import harvest
from rstar_mini.evolution.run import Run
from rstar_mini.evolution.shards import Found, cut, search_round
from rstar_mini.files import jsonl_bytes, zipped
from rstar_mini.policy.scripted import ScriptedPolicy
from rstar_mini.progress import Silent
from rstar_mini.recipes import load_recipe
from rstar_mini.search import Budget, Expander, search
from rstar_mini.types import Execution, Problem, Status

MB = 1e6


class Echo:
    """A sandbox for programs that only print a number."""

    def run_many(self, codes: Sequence[str]) -> list[Execution]:
        """What they print."""
        return [Execution(Status.OK, re.findall(r"print\((\d+)\)", code)[-1] + "\n") for code in codes]


def script(question: str, text: str) -> list[str]:
    """Right and wrong sums."""
    right = sum(map(int, re.findall(r"\d+", question)))
    if not text:
        return [f"<code>\n# Add\nprint({right + off})\n<end_of_code>" for off in (0, 1, 2, 3)]
    said = re.findall(r"<output>(\d+)<", text)[-1]
    return [f"<answer>The answer is \\boxed{{{said}}}<end_of_answer>"]


def searched(shard: int, problems: Sequence[Problem]) -> bytes:
    """Trees of a shard by the script."""
    trees = search(problems, Expander(ScriptedPolicy(script), Echo(), seed=str(shard)), Budget(4, 4))
    return zipped(jsonl_bytes(tree.to_json() for tree in trees))


def simulated(seconds: float) -> type:
    """An engine whose models take so long for a shard; without such a time it searches with the script."""

    class Simulated:
        def __init__(self, *_: object) -> None:
            self.trees = searched(0, sums(8)) if seconds else b""

        def ready(self) -> None:
            pass

        def close(self) -> None:
            pass

        def search(self, shard: int, problems: Sequence[Problem]) -> Found:
            time.sleep(seconds)
            trees = self.trees or searched(shard, problems)
            return Found(shard, trees, {"sampled": 0, "shrunk": 0, "process": os.getpid()}, seconds)

    return Simulated


def sums(n: int) -> list[Problem]:
    """Problems that the script solves."""
    return [Problem(f"sum-{i:07}", f"What is {i} + {i % 97}?", str(i + i % 97), level=1 + i % 3) for i in range(n)]


def cluster_of(cpus: int):
    """A Ray cluster of one machine that takes itself for so large."""
    from ray.cluster_utils import Cluster as Machines

    head = {"num_cpus": cpus, "include_dashboard": False, "object_store_memory": 400 << 20}
    return Machines(initialize_head=True, head_node_args=head)


def rate(times: Sequence[float]) -> float:
    """Shards a second, and over how many seconds."""
    return (len(times) - 1) / (times[-1] - times[0])


def workers(folder: Path, shards: int = 30, seconds: float = 1.0) -> None:
    """Engines of simulated latency: shards a second from 1 to 16 of them, and the driver's processor time for each."""
    alone = 0.0
    for count in (1, 2, 4, 8, 16):
        machines = cluster_of(count)
        run = Run.create(folder / str(count), load_recipe("tiny", [*SMALL, "threads=1"]))
        waiting = cut(sums(8 * 1000), 8)
        with run.owned(), Cluster(machines.address, simulated(seconds)) as cluster:
            times, seen, used = [], set[int](), 0.0
            with closing(cluster.search(run, 1, Silent(), waiting)) as search:
                for found in search:
                    seen.add(found.counts["process"])
                    if len(seen) == count:  # all have started
                        used = used or time.process_time()
                        times.append(time.monotonic())
                    if len(times) > shards * count:
                        break
                used = time.process_time() - used
        machines.shutdown()
        alone = alone or rate(times)
        share, each = rate(times) / (count * alone), 1000 * used / len(times)
        print(
            f"{count:2} engines: {rate(times):6.2f} shards/s in {times[-1] - times[0]:.0f} s, {share:.2f} of linear, "
            f"driver {each:.1f} ms a shard, without writing"
        )


def engines(folder: Path) -> None:
    """Real policies on machines of one core each, sandbox included: shards a second of one and of two."""
    found, cores = {}, os.sched_getaffinity(0)
    for count in (1, 2):
        machines = cluster_of(0)
        for core in sorted(cores)[:count]:
            os.sched_setaffinity(0, {core})  # what is started now, and all that it starts, stays there
            machines.add_node(num_cpus=1, object_store_memory=200 << 20)
        os.sched_setaffinity(0, cores)
        changes = ["problems.limit=720", "search.shard=24", "threads=1", "evaluation.limit=8"]
        run = evolve("tiny", folder / str(count), 1, [*SMALL[2:], *changes, "sft.epochs=1"], ray=machines.address)
        machines.shutdown()
        rows = [row["time"] for row in run.events.rows() if row["event"] == "shard searched"]
        times = [datetime.fromisoformat(at).timestamp() for at in rows][2 * count :]
        found[count] = rate(times)
        print(f"{count} engines: {found[count]:.3f} shards/s, n = {len(times)} in {times[-1] - times[0]:.0f} s")
    print(f"two over one: {found[2] / found[1]:.2f}")


def problems(folder: Path, n: int = 1_000_000, shard: int = 128) -> None:
    """So many problems through search and harvest, with engines that take no time: memory and time of the driver."""
    machines, me = cluster_of(2), psutil.Process()
    run = Run.create(folder / "run", load_recipe("tiny", [*SMALL, "threads=1", f"search.shard={shard}"]))
    before = me.memory_full_info().uss
    some = sums(n)
    print(f"{n:,} problems as objects: {(me.memory_full_info().uss - before) / MB:,.0f} MB")

    class Watch(Silent):
        done = 0

        def advance(self, amount: int = 1) -> None:
            self.done += amount
            if self.done // (n // 10) > (self.done - amount) // (n // 10):
                used = time.process_time() - start
                print(
                    f"{self.done:9,} searched: driver {me.memory_full_info().uss / MB:,.0f} MB of its own, "
                    f"{1000 * used / (self.done / shard):.1f} ms of its processor a shard",
                    flush=True,
                )

    with run.owned(), Cluster(machines.address, simulated(0.0)) as cluster:
        start, began = time.process_time(), time.monotonic()
        search_round(run, 1, some, lambda shards: cluster.search(run, 1, watch, shards), watch := Watch())
        print(f"searched in {time.monotonic() - began:,.0f} s")
    machines.shutdown()
    began = time.monotonic()
    print(harvest(run, 1, some))
    print(f"harvested in {time.monotonic() - began:,.0f} s: driver {me.memory_full_info().uss / MB:,.0f} MB of its own")


def kills(folder: Path, times: int = 30) -> None:
    """An engine, a machine or the driver is killed at random moments of a search, until it was so often; the files."""
    changes, rng = [*SMALL, "search.shard=2", "threads=1", "problems.limit=192"], random.Random(0)
    whole = digests(evolve("tiny", folder / "whole", 1, changes).path)
    machines = cluster_of(0)
    machines.add_node(num_cpus=1, object_store_memory=200 << 20)
    machines.add_node(num_cpus=1, object_store_memory=200 << 20)
    start = [
        sys.executable,
        "-c",
        "import sys, rstar_mini; rstar_mini.evolve('tiny', sys.argv[1], 1, sys.argv[3:], ray=sys.argv[2])",
    ]
    killed, runs = Counter[str](), 0
    while True:
        path = folder / f"run-{runs}"
        trees, searched = path / "round-1" / "trees", path / "round-1" / "trajectories.jsonl"
        driver, sent = subprocess.Popen([*start, str(path), machines.address, *changes]), False
        while driver.poll() is None:
            time.sleep(rng.uniform(2, 12))  # an engine takes some seconds to load
            engines = [p for p in psutil.process_iter(["name"]) if "ray::Engine" in p.info["name"]]
            if killed.total() == times or not engines or not trees.exists() or searched.exists():
                continue
            what = rng.choice(["engine", "engine", "machine", "driver"])
            if what == "engine":
                with contextlib.suppress(psutil.NoSuchProcess):
                    rng.choice(engines).kill()
                    killed[what] += 1
            elif what == "machine":
                machines.remove_node(rng.choice(sorted(machines.worker_nodes, key=id)), allow_graceful=False)
                killed[what] += 1
                time.sleep(rng.uniform(0, 10))
                machines.add_node(num_cpus=1, object_store_memory=200 << 20)
            elif what == "driver" and driver.poll() is None:
                driver.send_signal(signal.SIGKILL)
                killed[what] += 1
                sent = True
        assert driver.wait() == (-signal.SIGKILL if sent else 0), "nothing but its killing ends a run"
        if not sent:
            assert digests(path) == whole, path
            runs += 1
            if killed.total() == times:
                break
    print(
        f"killed {dict(killed)}; {runs} runs came to their end, all with the files of a single process ({len(whole)})"
    )
    machines.shutdown()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["workers", "engines", "problems", "kills"])
    asked = parser.parse_args()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    with tempfile.TemporaryDirectory() as kept:
        globals()[asked.what](Path(kept))
