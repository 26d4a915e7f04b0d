"""Shards on the actors of a Ray cluster: one actor for each GPU, or for each share of the processors.

Ray places the actors, asks for more machines where it may, and tells when one is lost. What is lost with an actor is
the shards that it had not given back; others search them again, from the same seeds, and find the same trees.
"""

from __future__ import annotations

import gc
import logging
import math
import os
import socket
import time
from collections import Counter, deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rstar_mini.cluster.engine import Engine, Job, memory_of, models_of
from rstar_mini.cluster.train import machines_of, meeting_point, training_there
from rstar_mini.errors import ServerLost, UserError
from rstar_mini.evolution.learning import Part
from rstar_mini.evolution.owner import owner
from rstar_mini.evolution.run import Run
from rstar_mini.evolution.shards import Found, Shard
from rstar_mini.progress import Progress
from rstar_mini.recipes import Recipe
from rstar_mini.told import Listener

LOCAL, AUTO = "local", "auto"
LOOPBACK = "127.0.0.1"
_ADVICE = f"give host:port as `ray start --head` prints it, or '{LOCAL}' for this machine"
PATIENCE = 30.0  # seconds until it is said what is waited for
MOST_LOSSES = 5  # of one shard, or, for each place, of actors that load models, in a row
SOON = 1.0  # seconds for which the machines of a cluster are taken to stay the same


@dataclass(eq=False, slots=True)
class Actor:
    """An engine somewhere: whether its models are loaded, and how many shards it has."""

    handle: Any
    loaded: bool = False
    shards: int = 0


@dataclass(frozen=True, slots=True)
class Work:
    """What an actor does: search a shard, or, None, load its models."""

    actor: Actor
    shard: Shard | None


class Cluster:
    """A connection to a Ray cluster; use it in a `with` block.

    Args:
        address: host:port of the cluster, as `ray start --head` prints it; "auto", the one that this process or this
            machine belongs to, as in a Ray job; or "local", one that is started here.
        engine: what the actors are; `tests/scale` puts one there that simulates.

    `kind` is what engines need: a GPU each, if there is one in the cluster now; else processors.

    Raises:
        UserError: Ray is not installed, or there is no cluster at this address that can be joined.
    """

    def __init__(self, address: str, engine: type = Engine) -> None:
        self.engine = engine
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # else it tells its makers, over the network
        try:
            import ray
        except ImportError:
            raise UserError('--ray needs Ray: pip install -e ".[cluster]"') from None
        self.ray = ray
        own = {"_node_ip_address": LOOPBACK, "dashboard_host": LOOPBACK}
        alone: dict[str, Any] = own if address == LOCAL else {}
        self._joined_before = address == AUTO and ray.is_initialized()
        try:
            if address != LOCAL and not self._joined_before:
                _knock(address, _resolved(address))
            joined = ray.init(
                address,
                log_to_driver=False,
                logging_level=logging.ERROR,
                ignore_reinit_error=self._joined_before,
                **alone,  # else Ray's ports, whose users may run anything, are open to the network
            )
        except ConnectionError as error:
            raise UserError(f"--ray {address}: this machine belongs to no cluster; {_ADVICE}") from error
        except RuntimeError as error:  # such as other versions of Ray or Python there
            raise UserError(f"--ray {address}: {' '.join(str(error).split())}") from error
        self.dashboard = f"http://{joined.dashboard_url}" if joined.dashboard_url else ""
        self.kind = "GPU" if ray.cluster_resources().get("GPU") else "CPU"

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *error: object) -> None:
        if not self._joined_before:
            self.ray.shutdown()

    def free_bytes(self, recipe: Recipe, progress: Progress) -> int:
        """Memory that one engine may use on a machine of the cluster, which is asked for when there is none."""
        needs = self._needs(recipe)
        how = self.ray.remote(memory_of).options(num_cpus=needs.get("CPU", 0), num_gpus=needs.get("GPU", 0))
        asked = how.remote(needs.get("CPU", 0))
        while not self.ray.wait([asked], timeout=PATIENCE)[0]:
            progress.say(f"waiting for a machine with {_in_words(needs)} to spare")
        found: int = self.ray.get(asked)
        return found

    def _needs(self, recipe: Recipe) -> dict[str, int]:
        return {"GPU": 1} if self.kind == "GPU" else {"CPU": recipe.threads}

    def search(
        self, run: Run, number: int, progress: Progress, shards: Sequence[Shard]
    ) -> Generator[Found, None, None]:
        """What is found in each shard, as it is found.

        Raises:
            UserError: an actor cannot load the models of the round.
        """
        sizes = {shard: len(problems) for shard, problems in shards}
        with closing(self.spread("search", run, number, progress, shards)) as spread:
            for found in spread:
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
        kind = self.kind
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
    ) -> Generator[Any, None, None]:
        """What the actors' method `what` gives for each shard, as it is given.

        Raises:
            UserError: an actor cannot load the models of the round.
        """
        errors, waiting, at_work = self.ray.exceptions, deque(shards), dict[Any, Work]()
        actors = Actors(self.ray, self.engine, self._needs(run.recipe), what, run, number)
        gc.freeze()  # Ray looks for garbage every few seconds, which takes half a second among a million problems
        try:
            while waiting or any(work.shard for work in at_work.values()):
                for actor, shard in actors.hand_out(waiting):
                    at_work[getattr(actor.handle, what).remote(*shard, *how)] = Work(actor, shard)
                loading = sum(not work.shard for work in at_work.values())
                new = actors.more(len(waiting) - loading)
                at_work |= {actor.handle.ready.remote(): Work(actor, None) for actor in new}
                ended, _ = self.ray.wait(list(at_work), timeout=PATIENCE)
                if not ended:
                    if all(work.shard is None for work in at_work.values()):
                        progress.say(f"round {number}: waiting for a machine with {_in_words(actors.needs)} to spare")
                    continue
                work = at_work.pop(ended[0])
                try:
                    found = self.ray.get(ended[0])
                except errors.RayError as error:
                    if isinstance(error, errors.RayTaskError) and not isinstance(error.cause, ServerLost):
                        raise error.cause from error
                    actors.lost(work, error)
                    if work.shard:
                        waiting.appendleft(work.shard)
                        run.note("shard lost", round=number, shard=work.shard[0])
                        progress.say(f"round {number}: shard {work.shard[0]} was lost with its process; once more")
                    continue
                actors.done(work)
                if work.shard:
                    yield found
        finally:
            gc.unfreeze()
            actors.dismiss()


class Actors:
    """The actors of one round: as many as there is room for, and one more, for which Ray makes room where it may."""

    def __init__(self, ray: Any, engine: type, needs: Mapping[str, int], what: Job, run: Run, number: int) -> None:
        self.ray, self.needs, self.alive, self.losses = ray, needs, list[Actor](), Counter[int | None]()
        self._room, self._asked = 1, -math.inf
        self._kind = ray.remote(engine).options(num_cpus=needs.get("CPU", 1), num_gpus=needs.get("GPU", 0))
        path, recipe = run.path.resolve(), run.recipe.model_dump(mode="json")
        # Each on its own and within a dict: an actor takes only what it asks for.
        models = {name: ray.put(file.read_bytes()) for name, file in models_of(run.recipe, path, what, number).items()}
        self._told = what, recipe, number, str(path), owner(path).get("id", ""), models

    def more(self, wanted: int) -> list[Actor]:
        """New ones, `wanted` at most; each loads its models."""
        if wanted > 0 and time.monotonic() - self._asked > SOON:
            machines = [machine["Resources"] for machine in self.ray.nodes() if machine["Alive"]]
            self._room = sum(min(int(there.get(name, 0) // n) for name, n in self.needs.items()) for there in machines)
            self._asked = time.monotonic()
        new = [Actor(self._kind.remote(*self._told)) for _ in range(min(wanted, self._room + 1 - len(self.alive)))]
        self.alive += new
        return new

    def hand_out(self, waiting: deque[Shard]) -> Iterator[tuple[Actor, Shard]]:
        """One shard to search for each that is ready; one more to wait for it, while there are enough for all."""
        for most in (1, 2):
            for actor in self.alive:
                enough = waiting if most == 1 else len(waiting) > len(self.alive)
                if enough and actor.loaded and actor.shards < most:
                    actor.shards += 1
                    yield actor, waiting.popleft()

    def done(self, work: Work) -> None:
        """An actor has loaded its models, or searched a shard."""
        if work.shard:
            work.actor.shards -= 1
        else:
            work.actor.loaded = True
            del self.losses[None]

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
            self.ray.kill(work.actor.handle)
        self._asked = -math.inf
        lost = work.shard[0] if work.shard else None
        self.losses[lost] += 1
        # A machine that goes takes all of its actors with it, which may all be loading.
        if self.losses[lost] > (MOST_LOSSES if work.shard else MOST_LOSSES * max(1, self._room)):
            what = "processes that loaded models" if lost is None else f"all processes that had shard {lost}"
            raise UserError(f"the cluster lost {what}, {self.losses[lost]} in a row: {reason}") from error

    def dismiss(self) -> None:
        """End all of them; those that are not at work clear up before."""
        closed = [actor.handle.close.remote() for actor in self.alive if actor.loaded and not actor.shards]
        if closed:
            self.ray.wait(closed, num_returns=len(closed), timeout=PATIENCE)
        for actor in self.alive:
            self.ray.kill(actor.handle)


def _in_words(needs: Mapping[str, int]) -> str:
    """Such as "2 CPU"."""
    return ", ".join(f"{amount} {name}" for name, amount in needs.items())


def _resolved(address: str) -> str:
    """Where the cluster of an address should be; for "auto" Ray knows, perhaps of one that is no more.

    Raises:
        ConnectionError: this machine belongs to none.
    """
    from ray._private.services import get_ray_address_from_environment

    return str(get_ray_address_from_environment(address, None)) if address == AUTO else address


def _knock(address: str, resolved: str) -> None:
    """See that somebody is there: Ray itself waits for minutes."""
    host, _, port = resolved.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, ValueError) as error:
        raise UserError(f"--ray {address}: {error}; {_ADVICE}") from error
