"""Shards on the actors of a Ray cluster: one actor for each GPU, or for each share of the processors.

Ray places the actors, asks for more machines where it may, and tells when one is lost. What is lost with an actor is
the shards that it had not given back; others search them again, from the same seeds, and find the same trees.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rstar_mini.cluster.engine import Engine, Job, models_of
from rstar_mini.cluster.train import Listener, machines_of, meeting_point, training_there
from rstar_mini.errors import UserError
from rstar_mini.evolution.learning import Part
from rstar_mini.evolution.owner import owner
from rstar_mini.evolution.run import Run
from rstar_mini.evolution.shards import Found, Shard
from rstar_mini.progress import Progress

LOCAL, AUTO = "local", "auto"
_ADVICE = f"give host:port as `ray start --head` prints it, or '{LOCAL}' for this machine"
PATIENCE = 30.0  # seconds until it is said what is waited for
MOST_LOSSES = 5  # of one shard, or of actors that load models


@dataclass(frozen=True, slots=True)
class Work:
    """What an actor does: search a shard, or, None, load its models."""

    actor: Any
    shard: Shard | None


class Cluster:
    """A connection to a Ray cluster; use it in a `with` block.

    Args:
        address: host:port of the cluster, as `ray start --head` prints it; "auto", the one that this process or this
            machine belongs to, as in a Ray job; or "local", one that is started here.
        engine: what the actors are; `tests/scale` puts one there that simulates.

    Raises:
        UserError: Ray is not installed, or there is no cluster at this address.
    """

    def __init__(self, address: str, engine: type = Engine) -> None:
        self.engine = engine
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # else it tells its makers, over the network
        try:
            import ray
        except ImportError:
            raise UserError('--ray needs Ray: pip install -e ".[cluster]"') from None
        self.ray = ray
        if address not in (LOCAL, AUTO):
            _knock(address)
        try:
            joined = ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
        except ConnectionError as error:
            raise UserError(f"--ray {address}: this machine belongs to no cluster; {_ADVICE}") from error
        self.dashboard = f"http://{joined.dashboard_url}" if joined.dashboard_url else ""

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *error: object) -> None:
        self.ray.shutdown()

    def search(self, run: Run, number: int, progress: Progress, shards: Sequence[Shard]) -> Iterator[Found]:
        """What is found in each shard, as it is found.

        Raises:
            UserError: an actor cannot load the models of the round.
        """
        sizes = {shard: len(problems) for shard, problems in shards}
        for found in self.spread("search", run, number, progress, shards):
            progress.advance(sizes[found.shard])
            yield found

    def train(self, configuration: Path, run: Run, number: int, part: Part, listener: Listener) -> None:
        """A training on several machines at once; where one of them is lost, once more from the last checkpoint.

        Raises:
            UserError: machines were lost too often.
        """
        reason = "its connections broke"
        for _ in range(MOST_LOSSES):
            before = self._machines()
            try:
                self._train(configuration, (str(run.path.resolve()), number, part), listener)
                if not listener.failed or listener.wrong or not self._lost_one_of(before):
                    return
            except self.ray.exceptions.RayTaskError as error:
                raise error.cause from error
            except self.ray.exceptions.RayError as error:
                reason = str(error).strip().splitlines()[-1]
            listener.failed = False
            run.note("training lost", round=number, why=reason)
            listener.progress.say(f"round {number}: a machine was lost while training; once more ({reason})")
        raise UserError(f"{MOST_LOSSES} times a machine was lost while training: {reason}")

    def _machines(self) -> set[str]:
        return {machine["NodeID"] for machine in self.ray.nodes() if machine["Alive"]}

    def _lost_one_of(self, before: set[str]) -> bool:
        """Whether a machine has gone: trainings notice it by their connections before Ray does."""
        until = time.monotonic() + PATIENCE
        while before <= self._machines() and time.monotonic() < until:
            time.sleep(1)
        return not before <= self._machines()

    def _train(self, configuration: Path, work: tuple[str, int, Part], listener: Listener) -> None:
        """Hear all machines until they are done, or until one of them has failed."""
        ray, (machines, processes) = self.ray, machines_of(configuration)
        kind = "GPU" if ray.cluster_resources().get("GPU") else "CPU"
        group = ray.util.placement_group([{kind: processes}] * machines, strategy="STRICT_SPREAD")
        trainings: list[Any] = []
        try:
            while not group.wait(PATIENCE):
                listener.progress.say(f"waiting for {machines} machines with {processes} {kind} each to train on")

            def on(machine: int, function: Any, **options: Any) -> Any:
                where = ray.util.scheduling_strategies.PlacementGroupSchedulingStrategy(group, machine)
                return ray.remote(function).options(scheduling_strategy=where, **options)

            meeting = ray.get(on(0, meeting_point, num_cpus=0).remote())
            told, own = configuration.read_text(), owner(Path(work[0])).get("id", "")
            needs = {"num_cpus": 0, "num_gpus": processes} if kind == "GPU" else {"num_cpus": processes}
            trainings += [
                on(machine, training_there, num_returns="streaming", max_retries=0, **needs).remote(
                    told, machine, meeting, own, *work
                )
                for machine in range(machines)
            ]
            while trainings and not listener.failed:
                [heard], _ = ray.wait(trainings, num_returns=1)
                line = next(heard, None)
                if line is None:
                    trainings.remove(heard)
                else:
                    listener.hear(ray.get(line))
        finally:
            for heard in trainings:
                ray.cancel(heard)
            if trainings:
                ray.wait(trainings, num_returns=len(trainings), timeout=PATIENCE / 3)  # for them to end in good order
            ray.util.remove_placement_group(group)

    def spread(
        self, what: Job, run: Run, number: int, progress: Progress, shards: Sequence[Shard], how: Sequence[Any] = ()
    ) -> Iterator[Any]:
        """What the actors' method `what` gives for each shard, as it is given.

        Raises:
            UserError: an actor cannot load the models of the round.
        """
        errors, waiting, at_work = self.ray.exceptions, deque(shards), dict[Any, Work]()
        actors = Actors(self.ray, self.engine, what, run, number)
        try:
            while waiting or any(work.shard for work in at_work.values()):
                loading = sum(not work.shard for work in at_work.values())
                at_work |= {actor.ready.remote(): Work(actor, None) for actor in actors.more(len(waiting) - loading)}
                ended, _ = self.ray.wait(list(at_work), timeout=PATIENCE)
                if not ended:
                    if all(work.shard is None for work in at_work.values()):
                        progress.say(f"round {number}: waiting for a machine with {actors.needs_in_words} to spare")
                    continue
                work = at_work.pop(ended[0])
                try:
                    found = self.ray.get(ended[0])
                except errors.RayTaskError as error:
                    raise error.cause from error
                except errors.RayError as error:
                    actors.lost(work, error)
                    if work.shard:
                        waiting.appendleft(work.shard)
                        run.note("shard lost", round=number, shard=work.shard[0])
                        progress.say(f"round {number}: shard {work.shard[0]} was lost with its process; once more")
                    continue
                if work.shard:
                    yield found
                has = sum(other.actor is work.actor for other in at_work.values())
                # One to search; one more to wait for it, while there are enough for all.
                for _ in range(min(len(waiting), 2 - has if len(waiting) > len(actors.alive) else 1 - has)):
                    shard = waiting.popleft()
                    at_work[getattr(work.actor, what).remote(*shard, *how)] = Work(work.actor, shard)
        finally:
            actors.dismiss()


class Actors:
    """The actors of one round: as many as there is room for, and one more, for which Ray makes room where it may."""

    def __init__(self, ray: Any, engine: type, what: Job, run: Run, number: int) -> None:
        self.ray, self.alive, self.losses = ray, list[Any](), Counter[int | None]()
        self.needs = {"GPU": 1} if ray.cluster_resources().get("GPU") else {"CPU": run.recipe.threads}
        self._kind = ray.remote(engine).options(num_cpus=self.needs.get("CPU", 1), num_gpus=self.needs.get("GPU", 0))
        path, recipe = run.path.resolve(), run.recipe.model_dump(mode="json")
        models = ray.put(models_of(path, number - 1 if what == "search" else number))
        self._told = what, recipe, number, str(path), owner(path).get("id", ""), models

    @property
    def needs_in_words(self) -> str:
        """Such as "2 CPU"."""
        return ", ".join(f"{amount} {name}" for name, amount in self.needs.items())

    def more(self, wanted: int) -> list[Any]:
        """New ones, `wanted` at most; each loads its models."""
        machines = [machine["Resources"] for machine in self.ray.nodes() if machine["Alive"]]
        room = sum(min(int(there.get(name, 0) // n) for name, n in self.needs.items()) for there in machines)
        new = [self._kind.remote(*self._told) for _ in range(min(wanted, room + 1 - len(self.alive)))]
        self.alive += new
        return new

    def lost(self, work: Work, error: Any) -> None:
        """Do without an actor, whose process or machine has gone, or whose result cannot be had.

        Raises:
            UserError: it could not load the models, or the same work was lost too often.
        """
        reason = str(error).strip().splitlines()[-1]
        if getattr(error, "actor_init_failed", False):
            raise UserError(f"a process of the cluster cannot begin: {reason}") from error
        if work.actor in self.alive:
            self.alive.remove(work.actor)
            self.ray.kill(work.actor)
        lost = work.shard[0] if work.shard else None
        self.losses[lost] += 1
        if self.losses[lost] > MOST_LOSSES:
            what = "processes that loaded models" if lost is None else f"all processes that had shard {lost}"
            raise UserError(f"the cluster lost {what}, {self.losses[lost]} in a row: {reason}") from error

    def dismiss(self) -> None:
        """End all of them."""
        for actor in self.alive:
            self.ray.kill(actor)


def _knock(address: str) -> None:
    """See that somebody is there: Ray itself waits for minutes."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, ValueError) as error:
        raise UserError(f"--ray {address}: {error}; {_ADVICE}") from error
