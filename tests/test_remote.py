"""A run in object storage: the same files as on a disk, one owner, and nothing lost but what was not finished."""

import json
import time
from pathlib import Path

import fsspec
import pytest
from small_runs import FEW, SMALL, Stop, Until, digests
from typer.testing import CliRunner

from rstar_mini.api import evolve, load_run
from rstar_mini.cli import app
from rstar_mini.errors import UserError
from rstar_mini.evolution import owner
from rstar_mini.evolution.ledger import Ledger
from rstar_mini.evolution.owner import LEASE
from rstar_mini.evolution.remote import Remote
from rstar_mini.evolution.run import Run
from rstar_mini.recipes import load_recipe

URL = "memory://bucket/run"


@pytest.fixture(autouse=True)
def storage(tmp_path, monkeypatch):
    """An empty storage, and a disk that knows nothing of it."""
    monkeypatch.setenv("RSTAR_MINI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(owner, "LEASE", 0.2)  # seconds for which a sign is watched
    files = fsspec.filesystem("memory")
    if files.exists("/bucket"):
        files.rm("/bucket", recursive=True)
    return files


def another_machine(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RSTAR_MINI_CACHE", str(tmp_path / "another"))


@pytest.mark.slow
def test_a_run_goes_on_on_another_machine_and_has_the_files_of_one(tmp_path, monkeypatch, storage, evolved):
    with pytest.raises(KeyboardInterrupt):
        evolve("tiny", URL, 1, SMALL, Stop("round 1: search", 9))
    assert not storage.exists("/bucket/run/owner.json")
    another_machine(monkeypatch, tmp_path)
    made = evolve("tiny", URL, 1, SMALL)
    files = digests(made.path)
    assert made.last_round == 1 and files.items() <= digests(evolved.path).items()
    assert made.verify() == [] and made.place == URL
    searched = [(row["round"], row["shard"]) for row in made.events.rows() if row["event"] == "shard searched"]
    assert len(searched) == len(set(searched)) == 2, "no shard twice"
    seen = load_run(URL)
    assert seen.path != made.path and digests(seen.path) == files and seen.verify() == []


@pytest.mark.slow
def test_what_its_ledger_does_not_tell_of_is_made_again(tmp_path, monkeypatch, storage, evolved):
    """As after a loss of the owner: a file is there that the ledger, which follows later, does not know."""
    evolve("tiny", URL, 1, SMALL)
    another_machine(monkeypatch, tmp_path)
    told = storage.cat_file("/bucket/run/digests.jsonl").splitlines(keepends=True)
    lost = [line for line in told if b"round-1/ppm" not in line and b"round-1/metrics" not in line]
    assert len(lost) < len(told)
    storage.pipe_file("/bucket/run/digests.jsonl", b"".join(lost))
    with Remote(URL) as remote:
        assert (remote.folder / "round-1" / "policy").exists()
        assert not (remote.folder / "round-1" / "ppm").exists()
    told = Until("never")
    made = evolve("tiny", URL, overrides=SMALL, progress=told)
    assert "round 1: PPM" in told.stages and "round 1: policy" not in told.stages
    assert digests(made.path) == digests(evolved.path) and made.verify() == []


def owned_by(storage, **changes) -> None:
    sign = {"id": "other", "pid": 1, "host": "elsewhere", "since": "", "seen": time.time()} | changes
    storage.pipe_file("/bucket/run/owner.json", json.dumps(sign).encode())


def test_one_process_at_a_time(storage, monkeypatch):
    with Remote(URL), pytest.raises(UserError, match=r"process \d+ on .* worked on memory://bucket/run 0 s ago; wait"):
        Remote(URL).__enter__()
    monkeypatch.setattr(owner, "LEASE", LEASE)  # on a busy machine `evolve` takes long to look
    owned_by(storage)
    with pytest.raises(UserError, match="process 1 on elsewhere worked on"):
        evolve("tiny", URL, 1, SMALL)
    monkeypatch.setattr(owner, "LEASE", 0.2)
    assert not storage.exists("/bucket/run/recipe.yaml")
    owned_by(storage, seen=time.time() - LEASE - 1)
    with Remote(URL):
        assert json.loads(storage.cat_file("/bucket/run/owner.json"))["id"] != "other"
    assert not storage.exists("/bucket/run/owner.json")


def test_the_lock_is_made_only_where_there_is_none(storage, monkeypatch):
    """Another process that sees no owner at the same moment: the storage lets one of them through."""
    remote = Remote(URL)
    seen = [{}]
    monkeypatch.setattr(remote, "_owner", lambda: seen.pop() if seen else {"pid": 1, "host": "elsewhere"})
    owned_by(storage)
    with pytest.raises(UserError, match="process 1 on elsewhere has just begun to work on memory://bucket/run"):
        remote.__enter__()


def test_of_two_that_see_an_owner_gone_one_takes_the_run(storage, monkeypatch):
    """The first has looked and is slow; the second has the run before it goes on."""
    owned_by(storage, seen=time.time() - LEASE - 1)
    first, second = Remote(URL), Remote(URL)
    look, entered = first._owner, []

    def slowly():
        found = look()
        if not entered:
            entered.append(second.__enter__())
        return found

    monkeypatch.setattr(first, "_owner", slowly)
    with pytest.raises(UserError, match="worked on memory://bucket/run 0 s ago"):
        first.__enter__()
    assert json.loads(storage.cat_file("/bucket/run/owner.json"))["id"] == second.me["id"]
    second.__exit__()
    with Remote(URL):
        pass


def test_who_took_a_run_over_and_died_at_once_leaves_it_to_others(storage):
    owned_by(storage, seen=time.time() - LEASE - 1)
    taker = {"id": "taker", "pid": 1, "host": "elsewhere", "seen": time.time() - LEASE - 1}
    storage.pipe_file("/bucket/run/after-other.json", json.dumps(taker).encode())
    with Remote(URL) as remote:
        assert json.loads(storage.cat_file("/bucket/run/owner.json"))["id"] == remote.me["id"]


def test_an_owner_that_died_before_its_ledgers_were_there_begins_again_on_its_machine(storage):
    remote = Remote(URL).__enter__()
    run = Run.create(remote.folder, load_recipe("tiny", SMALL), remote)
    (run.path / "lock").touch()
    (run.path / "round-0").mkdir()
    remote._ended.set()  # as killed: it says nothing more
    owned_by(storage, seen=time.time() - LEASE - 1)
    with Remote(URL) as remote:
        again = Run.create(remote.folder, load_recipe("tiny", SMALL), remote)
        assert again.path == run.path and (again.path / "recipe.yaml").exists()


def test_who_has_lost_the_run_writes_nothing_more(tmp_path, storage):
    with Remote(URL) as remote:
        remote.put(_file(remote, "a", "a"))
        owned_by(storage)
        _file(remote, "a", "b")
        with pytest.raises(UserError, match="process 1 on elsewhere has taken over memory://bucket/run"):
            remote.put(remote.folder / "a")
    assert storage.cat_file("/bucket/run/a") == b"a"
    assert json.loads(storage.cat_file("/bucket/run/owner.json"))["id"] == "other"


def test_status_and_verify_of_a_url(storage):
    with pytest.raises(KeyboardInterrupt):
        evolve("tiny", URL, 1, [*SMALL, *FEW, "search.shard=2"], Stop("round 1: search", 2))
    owned_by(storage)
    told = CliRunner().invoke(app, ["status", URL]).stdout
    assert "shards of this round: 1 of 2 searched" in told and "process 1 on elsewhere" in told
    told = CliRunner().invoke(app, ["verify", URL])
    assert told.exit_code == 0 and f"{URL}: all" in told.stdout
    assert len(Ledger(load_run(URL).path / "events.jsonl").rows()) > 1


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("nowhere://bucket/run", "nowhere://bucket/run: .*[Pp]rotocol"),
        ("memory://bucket/none", "is not a run"),
    ],
)
def test_bad_places_are_one_line(url, why):
    with pytest.raises(UserError, match=why):
        load_run(url)


def test_offline_keeps_to_this_machine(monkeypatch):
    monkeypatch.setenv("RSTAR_MINI_OFFLINE", "1")
    with pytest.raises(UserError, match="--offline: s3://bucket/run is on another machine"):
        evolve("tiny", "s3://bucket/run", 1, SMALL)


def test_a_storage_that_speaks_s3(tmp_path, monkeypatch):
    """Amazon's protocol, from a server on this machine."""
    pytest.importorskip("s3fs", reason="needs s3fs and moto[server]")
    server = pytest.importorskip("moto.server", reason="needs s3fs and moto[server]").ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "ACCESS_KEY_ID": "x",
        "SECRET_ACCESS_KEY": "x",
        "ENDPOINT_URL": f"http://{host}:{port}",
    }.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    fsspec.filesystem("s3").mkdir("bucket")
    url = "s3://bucket/run"
    with Remote(url) as remote, pytest.raises(UserError, match="worked on s3://bucket/run"):
        remote.put(_file(remote, "round-1/a", "a"))
        Remote(url).__enter__()
    monkeypatch.setattr(Remote, "_owner", lambda self: {})
    fsspec.filesystem("s3").pipe_file("bucket/run/owner.json", b"{}")
    with pytest.raises(UserError, match="has just begun to work on s3://bucket/run"):
        Remote(url).__enter__()
    assert fsspec.filesystem("s3").cat_file("bucket/run/round-1/a") == b"a"
    server.stop()


def _file(remote: Remote, name: str, text: str) -> Path:
    (remote.folder / name).parent.mkdir(parents=True, exist_ok=True)
    (remote.folder / name).write_text(text)
    return remote.folder / name
