"""What a stranger sends: runs with links, storages with odd names, recipes, texts with codes. None of it may hurt."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import fsspec
import pytest
import yaml
from rich.table import Table
from typer.testing import CliRunner

from rstar_mini.api_key import key_of_named, key_of_recipe, name_host
from rstar_mini.cli import app
from rstar_mini.errors import UserError
from rstar_mini.evolution.integrity import verify
from rstar_mini.evolution.owner import Ownership
from rstar_mini.evolution.remote import Remote, fetched
from rstar_mini.evolution.run import Run
from rstar_mini.files import MAX_LINE, inside, iterate_jsonl, read_json, whole_file, whole_folder
from rstar_mini.problems.files import check_card
from rstar_mini.recipes import load_recipe
from rstar_mini.redact import redact
from rstar_mini.show.console import PlainConsole
from rstar_mini.yaml_text import load_yaml

posix = pytest.mark.skipif(os.name == "nt", reason="links and pipes with names are those of Unix")
NAMES = ("../x", "a/../../x", "/x", "//x", "..\\x", "C:\\x", "C:x", "\\\\host\\x", "..", ".", "a\0b", "a\nb", "\x1b[2J")
SECRET = "sesame-0123456789"


@pytest.fixture
def made(tmp_path: Path) -> Run:
    return Run.create(tmp_path / "run", load_recipe("tiny"))


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """What nobody may touch."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "mine").write_text("mine")
    return folder


def one_line(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 2 and isinstance(result.exception, SystemExit), (result.output, result.exception)
    [line] = result.stderr.splitlines()
    return line


# --- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_name_never_leads_out_of_its_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="would lead out of"):
        inside(tmp_path, name)


def test_names_of_a_run_are_as_they_are(tmp_path: Path) -> None:
    for name in ("recipe.yaml", "round-1/trees/shard-0000.jsonl.gz", "a b", "é", "...", ".x", "a..b"):
        assert inside(tmp_path, name) == tmp_path / name


def _ledger(*names: str) -> bytes:
    return b"".join(json.dumps({"file": name, "sha256": "0" * 64}).encode() + b"\n" for name in names)


@pytest.mark.parametrize("name", ["../../../x", "round-1/../../../x", "/x", "..\\x"])
def test_a_storage_writes_no_file_outside_of_the_copy(tmp_path: Path, monkeypatch, name: str) -> None:
    monkeypatch.setenv("RSTAR_MINI_CACHE", str(tmp_path / "a" / "b" / "cache"))
    files = fsspec.filesystem("memory")
    files.store.clear()
    files.store[f"/evil/run/{name}"] = files.store["/evil/run/digests.jsonl"] = None
    try:
        for path, data in ((f"/evil/run/{name}", b"bad"), ("/evil/run/digests.jsonl", _ledger(name))):
            file = type(files).open(files, "/evil/filler", "wb")
            file.write(data)
            file.close()
            files.store[path] = files.store.pop("/evil/filler")
        with pytest.raises(UserError, match="would lead out of"):
            fetched("memory://evil/run")
        with pytest.raises(UserError, match="would lead out of"), Remote("memory://evil/run"):
            pass
    finally:
        files.store.clear()
    assert not list(tmp_path.rglob("x"))


def test_an_archive_writes_no_file_outside_of_the_copy(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("RSTAR_MINI_CACHE", str(tmp_path / "a" / "b" / "cache"))
    with zipfile.ZipFile(tmp_path / "run.zip", "w") as archive:
        archive.writestr("run/../../../../x", "bad")
        archive.writestr("run/digests.jsonl", _ledger("../../../../x"))
    with pytest.raises(UserError):
        fetched(f"zip://run::file://{tmp_path}/run.zip")
    assert not list(tmp_path.rglob("x"))


@posix
def test_a_run_behind_a_file_url_leaks_nothing_through_links(tmp_path: Path, made: Run, outside: Path, monkeypatch):
    monkeypatch.setenv("RSTAR_MINI_CACHE", str(tmp_path / "cache"))
    (made.path / "round-1").mkdir()
    (made.path / "round-1" / "leak").symlink_to(outside / "mine")
    made.digests.append({"file": "round-1/leak", "sha256": "0" * 64})
    with pytest.raises(UserError, match="a link that leads nowhere, out of the run, or to a folder"):
        fetched(f"file://{made.path}")
    assert not list((tmp_path / "cache").rglob("leak"))


@pytest.mark.parametrize("sign", ["../../x", "a/b", ""])
def test_a_sign_names_no_object_elsewhere(tmp_path: Path, monkeypatch, sign: str) -> None:
    monkeypatch.setenv("RSTAR_MINI_CACHE", str(tmp_path / "cache"))
    (tmp_path / "storage" / "run").mkdir(parents=True)
    found = {"id": sign, "pid": 1, "host": "elsewhere", "since": "", "seen": 0.0}
    (tmp_path / "storage" / "run" / "owner.json").write_text(json.dumps(found))
    with pytest.raises(UserError), Remote(f"file://{tmp_path}/storage/run"):
        pass
    assert sorted(path.name for path in (tmp_path / "storage").rglob("*")) == ["owner.json", "run"]


# --- links ---------------------------------------------------------------------------------------------------------

LINKED = ("events.jsonl", "digests.jsonl", "lock", "owner.json", ".report.html.part", "report.html", "round-1/policy")


@posix
@pytest.mark.parametrize("name", [*LINKED, "round-1/.policy-checkpoints", "experiments", "round-1"])
@pytest.mark.parametrize("target", ["mine", "", "nothing"])
def test_links_that_leave_a_run_are_refused_and_named(made: Run, outside: Path, name: str, target: str) -> None:
    place = made.path / name
    place.parent.mkdir(exist_ok=True)
    place.unlink(missing_ok=True)
    place.symlink_to(outside / target)
    for command in ("status", "report", "evolve --run"):
        asked = command.split()
        asked = [*asked, str(made.path)] if asked[0] != "evolve" else ["evolve", "tiny", "--run", str(made.path)]
        assert name in one_line(*asked)
    assert any(line.startswith(f"{name}: a link") for line in verify(made.path))
    assert [path.name for path in outside.iterdir()] == ["mine"] and (outside / "mine").read_text() == "mine"


@posix
def test_a_link_that_comes_later_is_not_written_through(made: Run, outside: Path) -> None:
    for name in ("events.jsonl", "lock"):
        (made.path / name).unlink(missing_ok=True)
        (made.path / name).symlink_to(outside / "mine")
    with pytest.raises(UserError, match="is a link"):
        made.events.append({"event": "x"})
    with pytest.raises(UserError, match="is a link"), Ownership(made.path):
        pass
    (made.path / ".a.part").symlink_to(outside / "mine")
    with whole_file(made.path / "a") as file:
        file.write(b"new")
    (made.path / ".b.part").symlink_to(outside)
    with whole_folder(made.path / "b") as aside:
        (aside / "c").write_text("new")
    assert (made.path / "a").read_text() == (made.path / "b" / "c").read_text() == "new"
    assert [path.name for path in outside.iterdir()] == ["mine"] and (outside / "mine").read_text() == "mine"


@posix
def test_a_link_within_a_run_may_stay(made: Run) -> None:
    (made.path / "copy.yaml").symlink_to("recipe.yaml")
    assert Run.load(made.path).recipe.name == "tiny"
    (made.path / "loop").symlink_to(".")
    with pytest.raises(UserError, match="or to a folder"):
        Run.load(made.path)


@posix
def test_a_pipe_with_a_name_hangs_nobody(made: Run) -> None:
    for name in ("digests.jsonl", "recipe.yaml"):
        (made.path / name).unlink()
        os.mkfifo(made.path / name)
    assert "neither a file nor a folder" in one_line("status", str(made.path))
    result = CliRunner().invoke(app, ["verify", str(made.path)])
    assert (
        result.exit_code == 1 and "recipe.yaml: neither" in result.stdout and "digests.jsonl: neither" in result.stdout
    )


# --- sizes ---------------------------------------------------------------------------------------------------------

_MEASURE = """
import resource, sys
from pathlib import Path
from rstar_mini.errors import UserError
from rstar_mini.files import iterate_jsonl
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    for _ in iterate_jsonl(Path(sys.argv[1])):
        pass
except UserError as error:
    print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="kilobytes of ru_maxrss are Linux's")
@pytest.mark.parametrize("part", [b"{},", b" "])
def test_a_line_that_unpacks_to_gigabytes_is_refused(tmp_path: Path, part: bytes) -> None:
    path = tmp_path / "shard-0000.jsonl.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(12):
            file.write(part * (10 * 2**20 // len(part)))
    done = subprocess.run([sys.executable, "-c", _MEASURE, path], capture_output=True, text=True, timeout=100)
    line, megabytes = done.stdout.splitlines()
    assert "shard-0000.jsonl.gz is damaged: more than" in line and int(megabytes) < 300, done.stdout + done.stderr


def test_many_lines_that_unpack_to_gigabytes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "shard-0000.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"a": "' + b"x" * (MAX_LINE // 8) + b'"}\n', 9) * 20)
    with pytest.raises(UserError, match="unpacks to more than"):
        for _ in iterate_jsonl(path):
            pass


def test_nested_and_absurd_json_is_one_line(tmp_path: Path) -> None:
    for text in ("[" * 200_000, "1" * 10_000, '{"a":', "\xff", "nul"):
        (tmp_path / "metrics.json").write_text(text, "latin-1")
        with pytest.raises(UserError, match="metrics.json is damaged"):
            read_json(tmp_path / "metrics.json")


# --- recipes -------------------------------------------------------------------------------------------------------

LAUGHS, MERGES = "a: &a [x,x,x,x,x,x,x,x,x]\n", "a: &a {k: v}\n"
for this, last in zip("bcdefghi", "abcdefgh", strict=True):
    nine = ",".join([f"*{last}"] * 9)
    LAUGHS += f"{this}: &{this} [{nine}]\n"
    MERGES += f"{this}: &{this} {{<<: [{nine}]}}\n"


@pytest.mark.parametrize(
    "text",
    [
        LAUGHS,
        MERGES,
        "a: &a [*a]",
        "[" * 2000,
        "{a: " * 2000,
        "- " * 2000,
        "a: " + "9" * 5000,
        "a: 2001-13-13",
        "x" * 10**6,
    ],
    ids=["aliases", "merges", "ring", "lists", "maps", "dashes", "digits", "date", "long"],
)
def test_yaml_is_bounded(tmp_path: Path, text: str) -> None:
    (tmp_path / "r.yaml").write_text(text)
    start = time.process_time()
    assert "not valid YAML" in one_line("evolve", str(tmp_path / "r.yaml"))
    with pytest.raises(yaml.YAMLError):
        load_yaml(text)
    assert time.process_time() - start < 10


@pytest.mark.parametrize("name", ["README.md", ".huggingface.yaml"])
@pytest.mark.parametrize("bomb", [LAUGHS, MERGES, "a: &a [*a]\n"], ids=["aliases", "merges", "ring"])
def test_the_card_of_a_data_set_is_bounded(tmp_path: Path, name: str, bomb: str) -> None:
    text = f"{bomb}configs:\n- {{config_name: default, data_files: *{'i' if '&i' in bomb else 'a'}}}\n"
    (tmp_path / "train.jsonl").write_text('{"question": "2 + 2?", "answer": "4"}\n')
    (tmp_path / name).write_text(f"---\n{text}---\n" if name == "README.md" else text)
    start = time.process_time()
    with pytest.raises(UserError, match="its metadata cannot be read .*aliases written out"):
        check_card(tmp_path)
    assert time.process_time() - start < 10


def test_a_recipe_with_a_few_aliases_is_read(tmp_path: Path) -> None:
    shipped = yaml.safe_load(Path(load_recipe.__code__.co_filename).with_name("tiny.yaml").read_text())
    text = yaml.safe_dump(shipped | {"rounds": None}).replace("rounds: null", "rounds: [&r {annotation: terminal}, *r]")
    (tmp_path / "r.yaml").write_text(text)
    first, second = load_recipe(str(tmp_path / "r.yaml")).rounds
    assert first == second


@pytest.mark.parametrize("name", ["../..", "..", ".", "", "/tmp/x", "a/../../x", "..\\x", "C:\\x"])
def test_a_recipes_name_does_not_decide_where_a_run_is_written(tmp_path: Path, monkeypatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    assert "would lead out of runs" in one_line("evolve", "tiny", "--set", f"name={json.dumps(name)}")
    assert list(tmp_path.iterdir()) == []


def test_names_are_neither_markup_nor_codes(capsys) -> None:
    table = Table("[bold]a", title="[link=file:///etc]x[/nonsense]")
    table.add_row("[red]b[/red] \x1b[31m :smile:")
    PlainConsole(width=80).print(table)
    shown = capsys.readouterr().out
    assert "[red]b[/red] ·[31m :smile:" in shown and "[bold]a" in shown and "\x1b" not in shown


@posix
def test_lab_does_not_run_what_lies_in_the_current_folder(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "00_start_here.ipynb").touch()
    (tmp_path / "jupyterlab.py").touch()
    monkeypatch.chdir(tmp_path)
    lines: list[list[str]] = []
    real = subprocess.run

    def note(line: list[str], **options: object) -> object:
        lines.append(line)
        return real([sys.executable, "-c", ""])

    monkeypatch.setattr(subprocess, "run", note)
    CliRunner().invoke(app, ["lab"])
    [line] = lines
    ask = "import importlib.util\nprint(importlib.util.find_spec('jupyterlab').origin)"
    found = real([*line[: line.index("-m")], "-c", ask], capture_output=True, text=True)
    assert found.stdout.strip() and not found.stdout.startswith(str(tmp_path))


# --- secrets -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"http://me:{SECRET}@host:8000/v1", "http://host:8000/v1"),
        (f"https://host/v1?key={SECRET}&x=1#top", "https://host/v1"),
        (f"s3://me:{SECRET}/x@bucket/run", "s3://bucket/run"),
        (f"http://me:a@{SECRET}@host/v1", "http://host/v1"),
        (f"http://me:'{SECRET}'@host/v1", "http://host/v1"),
        ("https://host/v1/@scope/name", "https://host/v1/@scope/name"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
        (f"https:/me:{SECRET}@host/x.jsonl?k={SECRET}", "https://host/x.jsonl"),
        ("C:/data/a@b/x", "C:/data/a@b/x"),
        (f"http://host:{SECRET}/v1", "http://host:***/v1"),
    ],
)
def test_urls_are_shown_without_their_secrets(url: str, shown: str) -> None:
    assert redact(f"see {url} there") == f"see {shown} there"
    assert str(UserError(f"{url}: no")) == f"{shown}: no"
    assert SECRET not in str(UserError(f"'{url}'"))


@pytest.mark.parametrize("said", [f"no host me:{SECRET}", f"GET /a/{SECRET}/b", "bad: 'abc def'", "key abc%20def"])
def test_a_storage_that_repeats_parts_of_its_address_shows_no_secret(tmp_path: Path, monkeypatch, said: str) -> None:
    """Libraries take the address apart, and name the parts in their errors."""
    monkeypatch.setenv("RSTAR_MINI_CACHE", str(tmp_path))

    def fails(url: str) -> None:
        raise OSError(said)

    monkeypatch.setattr(fsspec, "url_to_fs", fails)
    with pytest.raises(UserError, match=r"s3://bucket/run: .*\*\*\*") as caught:
        Remote(f"s3://me:{SECRET}@bucket/run?token=abc%20def")
    assert not any(part in str(caught.value) for part in (SECRET, "abc%20def", "abc def"))


def test_a_run_keeps_no_password_of_its_endpoint_and_goes_on(tmp_path: Path) -> None:
    asked = [
        "policy.engine=endpoint",
        "policy.served_model=m",
        f"policy.url=http://me:{SECRET}@127.0.0.1:1/v1?k={SECRET}",
    ]
    recipe = load_recipe("tiny", asked)
    run = Run.create(tmp_path / "run", recipe)
    assert SECRET not in (run.path / "recipe.yaml").read_text() and SECRET in str(run.recipe.policy.url)
    again = Run.begun(run.path, recipe)
    assert again and again.recipe == recipe, "who knows the password goes on with it"
    other = load_recipe("tiny", [*asked, "seed=5"])
    with pytest.raises(UserError, match="seed: 0 -> 5") as refused:
        Run.begun(run.path, other)
    assert SECRET not in str(refused.value)


@pytest.fixture
def keyed(monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    for name in ("OPENAI_BASE_URL", "RSTAR_MINI_KEY_HOSTS"):
        monkeypatch.delenv(name, raising=False)


def test_the_key_goes_only_where_the_user_sends_it(keyed, monkeypatch) -> None:
    assert key_of_recipe("https://evil.example/v1").value == ""
    assert key_of_recipe("http://127.0.0.1:8000/v1").value == ""
    monkeypatch.setenv("OPENAI_BASE_URL", "https://good.example/v1")
    assert key_of_recipe("https://good.example/v1/more").value == SECRET
    assert key_of_recipe("https://good.example.evil.example/v1").value == ""
    assert key_of_recipe("https://good.example@evil.example/v1").value == ""
    assert key_of_recipe("http://good.example/v1").value == ""
    name_host("https://named.example/v1")
    assert key_of_recipe("https://named.example/v1").value == SECRET
    assert key_of_recipe("https://evil.example/v1").value == ""
    assert key_of_named("http://named.example/v1").value == "", "never in plain http to another machine"
    assert key_of_named("http://localhost:8000/v1").value == key_of_named("http://[::1]/v1").value == SECRET


def test_a_recipe_file_names_no_host_and_the_command_line_does(keyed, tmp_path: Path) -> None:
    told = {"name": "x", "rounds": [{"annotation": "terminal"}]}
    told["policy"] = {"engine": "endpoint", "served_model": "m", "url": "https://host.example/v1"}
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(told))
    recipe = load_recipe(str(tmp_path / "r.yaml"))
    assert key_of_recipe(str(recipe.policy.url)).value == ""
    load_recipe(str(tmp_path / "r.yaml"), ["policy.url=https://host.example/v1"])
    assert key_of_recipe(str(recipe.policy.url)).value == SECRET


@pytest.mark.parametrize("key", ["a b", "a\nb", "schlüssel", "a\x1bb"])
def test_a_key_that_is_none_is_refused_unseen(monkeypatch, key: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(UserError, match="OPENAI_API_KEY holds") as refused:
        key_of_named("https://host.example/v1")
    assert key not in str(refused.value)


def test_no_error_shows_a_key(keyed) -> None:
    assert SECRET not in str(UserError(f"bad key {SECRET}!"))


@pytest.mark.parametrize("url", ["http://", "http://:80", "http://[::1", "https://host:port/", "http://host:99999/"])
def test_an_address_that_is_none_is_one_line(url: str) -> None:
    with pytest.raises(UserError):
        load_recipe("tiny", ["policy.engine=endpoint", "policy.served_model=m", f"policy.url={url}"])
