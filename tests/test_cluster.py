"""Rounds on a Ray cluster: the same files as in one process, also when machines and processes are lost on the way."""

import sys

import psutil
import pytest
from small_runs import SMALL, digests
from typer.testing import CliRunner

from rstar_mini.api import evolve
from rstar_mini.cli import app
from rstar_mini.errors import UserError
from rstar_mini.evolution.status import status
from rstar_mini.progress import Silent

CHANGES = [*SMALL, "search.shard=4", "threads=1"]


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


@pytest.mark.ray
@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray", "ray://127.0.0.1:x"])
def test_no_cluster_at_the_address(tmp_path, address):
    pytest.importorskip("ray", reason='needs Ray: pip install -e ".[cluster]"')
    with pytest.raises(UserError, match=f"--ray {address}: .*; give host:port"):
        evolve("tiny", tmp_path / "run", 1, CHANGES, ray=address)
    assert not (tmp_path / "run").exists()
