"""Rounds on a Ray cluster: the same files as in one process, also when machines and processes are lost on the way."""

import os
import shutil
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import yaml
from small_runs import SMALL, digests
from typer.testing import CliRunner

import rstar_mini.cluster
from rstar_mini.api import evolve
from rstar_mini.cli import app
from rstar_mini.cluster import pool
from rstar_mini.cluster.engine import Engine
from rstar_mini.cluster.pool import Actors, Cluster, Work
from rstar_mini.cluster.train import configuration_file, machines_of
from rstar_mini.errors import ServerLost, UserError
from rstar_mini.evolution.models import Models
from rstar_mini.evolution.problems import gather
from rstar_mini.evolution.run import Run
from rstar_mini.evolution.shards import Found
from rstar_mini.evolution.status import status
from rstar_mini.evolution.synthesis import answer_rows, write_rows, writer
from rstar_mini.files import read_json
from rstar_mini.progress import Silent
from rstar_mini.recipes import load_recipe, recipe_names
from rstar_mini.sandbox import Sandbox

CHANGES = [*SMALL, "problems.limit=24", "search.shard=4"]


def test_without_ray_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    told = CliRunner().invoke(app, ["evolve", "--run", str(tmp_path / "a"), "--ray", "local"])
    assert told.exit_code == 2 and 'pip install -e ".[cluster]"' in told.stderr
    assert not (tmp_path / "a").exists()


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The files of the same round in one process."""
    path = tmp_path_factory.mktemp("alone") / "run"
    evolve("tiny", path, 1, CHANGES)
    return digests(path)


@pytest.fixture
def machines():
    """A cluster of two machines, each a raylet of its own; a lost one is noticed within seconds."""
    utils = pytest.importorskip("ray.cluster_utils", reason='needs Ray: pip install -e ".[cluster]"')
    soon = {"health_check_period_ms": 500, "health_check_timeout_ms": 500, "health_check_failure_threshold": 3}
    head = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 100 << 20, "_system_config": soon}
    cluster = utils.Cluster(initialize_head=True, head_node_args=head)
    cluster.add_node(num_cpus=1, object_store_memory=100 << 20)
    yield cluster
    cluster.shutdown()


class AfterFirst(Silent):
    """Does something once, when the first shard is back."""

    def __init__(self, act):
        self.act, self.said, self.searching = act, [], False

    def stage(self, name, total):
        self.searching = name.endswith("search")

    def advance(self, amount=1):
        if self.searching and amount == 4 and self.act:
            act, self.act = self.act, None
            act()

    def say(self, text):
        self.said.append(text)


@pytest.mark.ray
def test_a_machine_is_lost_half_way(tmp_path, machines, alone):
    [machine] = machines.worker_nodes
    progress = AfterFirst(lambda: machines.remove_node(machine, allow_graceful=False))
    evolve("tiny", tmp_path / "run", 1, CHANGES, progress, ray=machines.address)
    assert progress.act is None
    assert digests(tmp_path / "run") == alone


@pytest.mark.ray
def test_an_actor_is_lost_and_a_machine_joins(tmp_path, machines, alone):
    def lose():
        next(process for process in psutil.process_iter() if "ray::Engine" in process.name()).kill()
        machines.add_node(num_cpus=1, object_store_memory=100 << 20)

    progress = AfterFirst(lose)
    evolve("tiny", tmp_path / "run", 1, CHANGES, progress, ray=machines.address)
    assert any("was lost with its process" in line for line in progress.said)
    assert status(tmp_path / "run").faults["shard lost"] >= 1
    assert digests(tmp_path / "run") == alone


@pytest.mark.ray
def test_the_driver_stops_and_goes_on(tmp_path, machines, alone):
    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evolve("tiny", tmp_path / "run", 1, CHANGES, AfterFirst(stop), ray=machines.address)
    kept = len(list((tmp_path / "run" / "round-1" / "trees").glob("*.gz")))
    assert kept < 6
    evolve("tiny", tmp_path / "run", 1, CHANGES, ray=machines.address)
    assert digests(tmp_path / "run") == alone


def holding_up(folder):
    """An engine whose shard 1 is not done on the first machine that has it, and whose server ends once."""

    class HoldingUp:
        def __init__(self, *_):
            pass

        def ready(self):
            pass

        def close(self):
            (folder / "closed").touch()

        def search(self, shard, problems):
            import ray

            if shard == 2 and not (folder / "server").exists():
                (folder / "server").touch()
                raise ServerLost("the server ended")
            if shard == 1 and not (folder / "held").exists():
                (folder / "held").write_text(ray.get_runtime_context().get_node_id())
                time.sleep(600)
            return Found(shard, b"", {"sampled": 0, "shrunk": 0}, 0.0)

    return HoldingUp


class Impatient(Silent):
    """Does not wait for machines, of which there are enough."""

    def say(self, text):
        assert "waiting for a machine" not in text


@pytest.mark.ray
def test_the_last_shard_is_lost_with_its_machine_and_goes_to_an_engine_that_has_nothing_to_do(tmp_path, monkeypatch):
    """Also: a server that ends is like a process that does."""
    utils = pytest.importorskip("ray.cluster_utils", reason='needs Ray: pip install -e ".[cluster]"')
    soon = {"health_check_period_ms": 500, "health_check_timeout_ms": 500, "health_check_failure_threshold": 3}
    small = {"include_dashboard": False, "object_store_memory": 100 << 20}
    machines = utils.Cluster(initialize_head=True, head_node_args=small | {"num_cpus": 0, "_system_config": soon})
    two = [machines.add_node(num_cpus=1, object_store_memory=100 << 20) for _ in range(2)]
    monkeypatch.setattr(pool, "PATIENCE", 200.0)  # engines take a while to load on a busy machine
    run, found = Run.create(tmp_path / "run", load_recipe("tiny", CHANGES)), set()
    with run.owned(), Cluster(machines.address, holding_up(tmp_path)) as cluster:
        assert 0 < cluster.free_bytes(run.recipe, Silent()) < psutil.virtual_memory().total
        shards = [(number, []) for number in range(3)]
        for one in cluster.search(run, 1, Impatient(), shards):
            found.add(one.shard)
            if found == {0, 2}:
                [held] = [machine for machine in two if machine.node_id == (tmp_path / "held").read_text()]
                machines.remove_node(held, allow_graceful=False)
    machines.shutdown()
    assert found == {0, 1, 2} and (tmp_path / "closed").exists()


class NoRay:
    """A cluster of one machine with eight processors, as far as `Actors` asks for it."""

    def nodes(self):
        return [{"Alive": True, "Resources": {"CPU": 8.0}}, {"Alive": False, "Resources": {"CPU": 8.0}}]

    def remote(self, what):
        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=lambda *_: object()))

    def put(self, data):
        return data

    def kill(self, actor):
        pass


def test_engines_that_load_may_be_lost_with_their_machine_but_not_for_ever(tmp_path):
    run = Run.create(tmp_path / "run", load_recipe("tiny", CHANGES))
    actors = Actors(NoRay(), Engine, {"CPU": 1}, "search", run, 1)
    for _ in range(9):
        lost, rest = actors.more(9), actors.more(9)
        assert len(lost) == 9 and not rest, "as many as there is room for, and one more"
        for actor in lost[:8]:
            actors.lost(Work(actor, None), ConnectionError("gone"))
        actors.done(Work(lost[8], None))
        actors.lost(Work(lost[8], (0, [])), ConnectionError("gone"))
        del actors.losses[0]
    with pytest.raises(UserError, match="lost processes that loaded models, 41 in a row: gone"):
        for _ in range(9):
            for actor in actors.more(9):
                actors.lost(Work(actor, None), ConnectionError("gone"))


@pytest.mark.ray
@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray", "ray://127.0.0.1:x", "auto"])
def test_no_cluster_at_the_address(tmp_path, monkeypatch, address):
    utils = pytest.importorskip("ray._private.utils", reason='needs Ray: pip install -e ".[cluster]"')
    monkeypatch.setattr(utils, "read_ray_address", lambda *_: None)  # of a cluster that another test has left
    with pytest.raises(UserError, match=f"--ray {address.replace(':x', ':[*]{3}')}: .*; give host:port"):
        evolve("tiny", tmp_path / "run", 1, CHANGES, ray=address)
    assert not (tmp_path / "run").exists()


@pytest.mark.ray
def test_a_cluster_that_is_no_more_is_told_at_once(tmp_path, monkeypatch):
    """Ray has kept its address on this machine, and would look for it for minutes."""
    services = pytest.importorskip("ray._private.services", reason='needs Ray: pip install -e ".[cluster]"')
    monkeypatch.setattr(services, "get_ray_address_from_environment", lambda *_: "127.0.0.1:1")
    start = time.monotonic()
    with pytest.raises(UserError, match="--ray auto: .*; give host:port"):
        Cluster("auto")
    assert time.monotonic() - start < 20


LONGER = ["sft.batch=8", "sft.epochs=2", "sft.checkpoint_seconds=0", "ppm.batch=8"]
TWO_MACHINES = """
compute_environment: LOCAL_MACHINE
distributed_type: MULTI_GPU
gpu_ids: all
machine_rank: 0
main_training_function: main
mixed_precision: 'no'
num_machines: 2
num_processes: 2
rdzv_backend: static
same_network: true
use_cpu: false
"""


class AfterSteps(Silent):
    """Does something once, after two steps of the policy's training; keeps the steps of all trainings."""

    def __init__(self, act):
        self.act, self.said, self.steps, self.now = act, [], {}, ""

    def stage(self, name, total):
        self.now = name
        self.steps[name] = 0

    def advance(self, amount=1):
        self.steps[self.now] += amount
        if self.now == "round 1: policy" and self.steps[self.now] >= 2 and self.act:
            act, self.act = self.act, None
            act()

    def say(self, text):
        self.said.append(text)


def launches():
    """Processes that accelerate has started."""
    return [p for p in psutil.process_iter(["cmdline"]) if "rstar_mini.cluster.train" in (p.info["cmdline"] or [])]


@pytest.mark.ray
def test_training_on_two_machines_is_interrupted_and_one_is_lost(tmp_path, machines):
    """Nothing goes on in the background; the training takes up its checkpoint, and has the losses of one process."""
    (tmp_path / "two.yaml").write_text(TWO_MACHINES)
    one = evolve("tiny", tmp_path / "one", 1, [*CHANGES, *LONGER])
    shutil.copytree(one.path, tmp_path / "two")  # all but the policy's training is done
    shutil.rmtree(tmp_path / "two" / "round-1" / "policy")
    for name in ("policy-log.json", "metrics.json"):
        (tmp_path / "two" / "round-1" / name).unlink()
    how = {"ray": machines.address, "accelerate": str(tmp_path / "two.yaml")}

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evolve("tiny", tmp_path / "two", 1, [*CHANGES, *LONGER], AfterSteps(stop), **how)
    _, alive = psutil.wait_procs(launches(), timeout=20)
    assert not alive
    assert list((tmp_path / "two" / "round-1" / ".policy-checkpoints").glob("checkpoint-*"))

    def lose():
        machines.remove_node(machines.worker_nodes.copy().pop(), allow_graceful=False)
        machines.add_node(num_cpus=1, object_store_memory=100 << 20)

    progress = AfterSteps(lose)
    two = evolve("tiny", tmp_path / "two", 1, [*CHANGES, *LONGER], progress, **how)
    assert progress.act is None and any("a machine was lost while training" in line for line in progress.said)
    curves = [read_json(run.round(1) / "policy-log.json")["curve"] for run in (one, two)]
    assert [row["loss"] for row in curves[0]] == pytest.approx([row["loss"] for row in curves[1]], abs=1e-5)
    assert two.verify() == [] and not launches()


def test_actors_write_and_answer_new_problems_as_one_process_does(tmp_path):
    """An actor's methods, without Ray: the files of round 0 follow from these rows."""
    changes = [*CHANGES, "synthesis={limit: 4, per_problem: 2, samples: 3, agree: 2, max_tokens: 48}"]
    recipe = load_recipe("tiny", changes)
    models, problems = Models(recipe, tmp_path / "run"), gather(recipe).training[:4]
    with closing(writer(models)) as policy:
        texts = write_rows(recipe, policy, problems)
    with closing(models.searching_policy(1)) as policy, Sandbox() as box:
        answers = answer_rows(recipe, policy, box, problems)
    told = recipe.model_dump(mode="json")
    with closing(Engine("write", told, 0, str(tmp_path / "other"), "", {})) as actor:
        assert actor.write(3, problems) == (3, texts)
    with closing(Engine("answer", told, 0, str(tmp_path / "other"), "", {})) as actor:
        assert actor.answer(0, problems) == (0, answers)
    assert len(texts) == 8 and len(answers) == 4


EXAMPLES = Path(rstar_mini.cluster.__file__).parent / "examples"


def test_the_job_for_kubernetes_starts_a_run():
    """Its command is one that the program takes, and heads and workers see the same folder."""
    job = yaml.safe_load((EXAMPLES / "kuberay.yaml").read_text())["spec"]
    program, command, recipe, *options = job["entrypoint"].split()
    assert (program, command) == ("rstar-mini", "evolve") and recipe in recipe_names()
    asked = dict(zip(options[::2], options[1::2], strict=True))
    assert asked.keys() <= set(CliRunner().invoke(app, ["evolve", "--help"]).stdout.split())
    assert machines_of(configuration_file(asked["--accelerate"])) == (1, 8)
    cluster = job["rayClusterSpec"]
    pods = [group["template"]["spec"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])]
    for pod in pods:
        [container] = pod["containers"]
        assert container["resources"]["limits"]["nvidia.com/gpu"] == "8"
        assert asked["--run"].startswith(container["volumeMounts"][0]["mountPath"] + "/")
        assert pod["volumes"][0]["name"] == container["volumeMounts"][0]["name"]


def test_the_job_for_slurm_starts_ray_and_a_run(tmp_path):
    """With stand-ins for SLURM's and Ray's commands, which say how they were called."""
    for name, says in {"srun": '"$@"', "scontrol": "printf 'node1\nnode2\n'", "ray": 'echo ray "$@"'}.items():
        (tmp_path / name).write_text(f"#!/bin/bash\nwhile [[ $1 == --kill* ]]; do shift; done\n{says}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "activate").write_text("")
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "ENVIRONMENT": str(tmp_path)}
    env |= {"SLURM_JOB_NODELIST": "node[1-2]", "SLURM_NNODES": "2", "SLURM_GPUS_ON_NODE": "4"}
    asked = ["bash", str(EXAMPLES / "slurm.sh"), "paper", "--accelerate", "16-machines-fsdp"]
    said = subprocess.run(asked, env=env, capture_output=True, text=True, check=True).stdout
    started, _, command = said.strip().partition(" -- ")
    assert started == "ray symmetric-run --address node1:6379 --min-nodes 2 --num-gpus 4"
    assert command == "rstar-mini evolve paper --accelerate 16-machines-fsdp --ray auto"
