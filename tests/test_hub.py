"""Models and data sets of the Hub: fetched from a local mirror, found again offline, and refused in one clear line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_mirror import COMMIT, Mirror, write_cache

from rstar_mini.paths import data_file

ROOT = Path(__file__).parents[1]
MODEL_FILES = sorted(path.name for path in data_file("tiny-base").iterdir())
FETCH = """
import sys
from pathlib import Path
from rstar_mini.errors import UserError
from rstar_mini.hub import Repo
try:
    print(Repo(sys.argv[1], sys.argv[2]).snapshot())
except UserError as error:
    sys.exit(str(error))
"""
# One process for many names: it prints why each is refused.
REFUSED = """
import sys
from rstar_mini.errors import UserError
from rstar_mini.hub import Repo
for kind, name in zip(sys.argv[1::2], sys.argv[2::2]):
    try:
        sys.exit(f"{name} is taken: {Repo(name, kind).snapshot()}")
    except UserError as error:
        print(error)
"""
FETCH_AGAIN = "from rstar_mini.hub import Repo\nfrom rstar_mini.progress import Silent\n" + (
    "repo = Repo('org/tiny', 'model')\nfiles = repo.missing()\nprint(sum(f.file_size for f in files))\n"
    "repo.fetch(files, Silent())"
)


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    """A Hub with the tiny model and a small data set."""
    shutil.copytree(data_file("tiny-base"), tmp_path / "hub" / "models" / "org" / "tiny")
    (tmp_path / "hub" / "models" / "org" / "tiny" / "onnx").mkdir()
    (tmp_path / "hub" / "models" / "org" / "tiny" / "onnx" / "model.onnx").write_bytes(b"not for transformers")
    problems = tmp_path / "hub" / "datasets" / "org" / "sums"
    problems.mkdir(parents=True)
    rows = [{"question": f"What is {i} + 1?", "answer": f"#### {i + 1}"} for i in range(3)]
    (problems / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (problems / "README.md").write_text("A few sums.\n")
    with Mirror(tmp_path / "hub") as server:
        yield server


@pytest.fixture
def python(mirror: Mirror, tmp_path: Path):
    """Runs code in a Python of its own, whose Hub is the mirror and whose caches are empty at first."""

    def run(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        own = {"HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": mirror.address, "PYTHONPATH": str(ROOT)}
        own |= {"HF_HUB_OFFLINE": "0", "HF_TOKEN_PATH": str(tmp_path / "token"), "HF_HUB_DISABLE_XET": "1"}
        command = [sys.executable, "-W", "error", "-c", code, *arguments]
        return subprocess.run(command, env=os.environ | own | environment, capture_output=True, text=True, check=False)

    return run


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of what was refused."""
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    line = done.stderr.strip().splitlines()[-1]
    assert line
    return line


def test_a_model_is_fetched_once_and_only_what_transformers_reads(mirror: Mirror, python, tmp_path: Path) -> None:
    folder = Path(python(FETCH, "org/tiny", "model").stdout.strip())
    assert folder.is_relative_to(tmp_path / "home" / "hub") and folder.name == COMMIT
    assert mirror.fetched() == MODEL_FILES
    for file in data_file("tiny-base").iterdir():
        assert (folder / file.name).read_bytes() == file.read_bytes()
    assert Path(python(FETCH, "org/tiny", "model", HF_HUB_OFFLINE="1").stdout.strip()) == folder
    assert python(FETCH, "org/tiny", "model").stdout.strip() == str(folder)
    assert mirror.asked == []


def test_what_is_missing_or_wrong_is_fetched_again_and_nothing_else(mirror: Mirror, python) -> None:
    folder = Path(python(FETCH, "org/tiny", "model").stdout.strip())
    mirror.fetched()
    weights = folder / "model.safetensors"
    size = weights.stat().st_size
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.resolve().write_bytes(data)
    (folder / "config.json").resolve().unlink()
    (folder / "config.json").unlink()
    done = python(FETCH_AGAIN)
    assert done.stdout.strip() == str(size + (data_file("tiny-base") / "config.json").stat().st_size), done.stderr
    assert mirror.fetched() == ["config.json", "model.safetensors"]
    assert weights.read_bytes() == (data_file("tiny-base") / "model.safetensors").read_bytes()
    assert python(FETCH_AGAIN).stdout.strip() == "0"
    assert mirror.fetched() == []


def test_a_mirror_whose_files_do_not_have_their_digests_is_told(mirror: Mirror, python, monkeypatch) -> None:
    monkeypatch.setattr("hub_mirror._git_digest", lambda data: "f" * 40)
    line = refused(python(FETCH, "org/tiny", "model"))
    assert "config.json" in line and "wrong digest" in line


def test_a_data_set_is_read_offline_after_it_was_fetched(mirror: Mirror, python) -> None:
    read = "from rstar_mini.problems import load_problems\nprint(load_problems('org/sums', 'train', 2))"
    online = python(read)
    assert "What is 1 + 1?" in online.stdout, online.stderr
    mirror.asked.clear()
    assert python(read, HF_HUB_OFFLINE="1").stdout == online.stdout
    assert mirror.asked == []


def test_a_name_that_the_hub_does_not_know(python) -> None:
    lines = python(REFUSED, "model", "org/none", "dataset", "org/none").stdout.splitlines()
    assert len(lines) == 2
    for line in lines:
        assert "org/none" in line and "does not know" in line and "hf auth login" in line


def test_a_gated_model_says_where_to_ask(mirror: Mirror, python, tmp_path: Path) -> None:
    mirror.gated.add("org/tiny")
    line = refused(python(FETCH, "org/tiny", "model"))
    assert f"gated; ask for access on {mirror.address}/org/tiny, then log in" in line
    assert not list((tmp_path / "home").rglob("*.safetensors"))


def test_a_hub_out_of_reach_is_named(python, tmp_path: Path) -> None:
    line = refused(python(FETCH, "org/tiny", "model", HF_ENDPOINT="http://127.0.0.1:9"))
    assert "http://127.0.0.1:9" in line and "refused" in line and "connect" in line


def test_offline_says_what_is_missing_and_how_it_comes(mirror: Mirror, python) -> None:
    line = refused(python(FETCH, "org/tiny", "model", HF_HUB_OFFLINE="1"))
    assert "'org/tiny' is not on this machine" in line and "rstar-mini fetch" in line
    assert mirror.asked == []


@pytest.mark.slow  # loads the model libraries
def test_a_plan_asks_for_the_configuration_alone(mirror: Mirror, python) -> None:
    done = python("from rstar_mini.plan.shape import shape\nprint(shape('org/tiny').layers)\nshape('org/none')")
    assert done.stdout.strip().isdigit()
    assert "UserError: the Hub does not know the model 'org/none'" in done.stderr
    assert mirror.fetched() == ["config.json"]


def test_a_name_that_can_be_none(python) -> None:
    names = "a/b/c", "../up", "what is this?"
    lines = python(REFUSED, *(word for name in names for word in ("model", name))).stdout.splitlines()
    assert len(lines) == 3 and all("neither a folder" in line for line in lines)


def test_no_room_is_said_before_anything_is_fetched(mirror: Mirror, python) -> None:
    full = "import collections, shutil\nshutil.disk_usage = lambda path: collections.namedtuple('U', 'free')(1000)\n"
    line = refused(python(full + FETCH, "org/tiny", "model"))
    assert "has room for 0.0 MB, and 1.9 MB are needed" in line
    assert mirror.fetched() == []


def test_a_download_that_breaks_off_keeps_what_is_done(mirror: Mirror, python) -> None:
    mirror.torn.add("tokenizer.json")
    code = FETCH.replace(
        "try:", "import huggingface_hub.file_download as f\nf.time.sleep = lambda s: sys.exit('cut')\ntry:"
    )
    assert python(code, "org/tiny", "model").returncode == 1
    assert "model.safetensors" in mirror.fetched()
    assert python(FETCH, "org/tiny", "model").returncode == 0
    assert mirror.fetched() == ["tokenizer.json", "tokenizer_config.json"]


@pytest.mark.slow  # loads the model libraries
def test_a_cache_that_others_have_written_is_used_offline(python, tmp_path: Path) -> None:
    write_cache(tmp_path / "other", "model", "org/mine", data_file("tiny-base"))
    code = (
        "from rstar_mini.models import load_base\nprint(sum(p.numel() for p in load_base('org/mine')[0].parameters()))"
    )
    done = python(code, HF_HUB_CACHE=str(tmp_path / "other"), HF_HUB_OFFLINE="1")
    assert int(done.stdout) > 500_000, done.stderr


@pytest.mark.slow  # loads the model libraries, after two processes that fetch
def test_a_folder_that_was_carried_away_has_no_links_and_is_read_offline(
    mirror: Mirror, python, tmp_path: Path
) -> None:
    code = FETCH.replace("Repo(sys.argv[1], sys.argv[2])", "Repo(sys.argv[1], sys.argv[2], Path(sys.argv[3]))")
    for name, kind in (("org/tiny", "model"), ("org/sums", "dataset")):
        done = python(code, name, kind, str(tmp_path / "room" / "hub"), HF_HUB_DISABLE_SYMLINKS="1")
        assert done.returncode == 0, done.stderr
    assert not [path for path in (tmp_path / "room").rglob("*") if path.is_symlink()]
    weights = [path.stat().st_size for path in (tmp_path / "room").rglob("*") if path.is_file()]
    assert weights.count((data_file("tiny-base") / "model.safetensors").stat().st_size) == 1
    carried = shutil.copytree(tmp_path / "room", tmp_path / "stick")
    shutil.rmtree(tmp_path / "room")
    mirror.asked.clear()
    read = (
        "from rstar_mini.models import load_base\nfrom rstar_mini.problems import load_problems\n"
        "load_base('org/tiny')\nprint(load_problems('org/sums')[0].answer)"
    )
    done = python(read, RSTAR_MINI_CACHE=str(carried), HF_HUB_OFFLINE="1")
    assert done.stdout.strip() == "1", done.stderr
    assert mirror.asked == []


@pytest.mark.slow  # two processes load the data sets library
def test_of_a_data_set_only_the_configuration_that_is_read_is_fetched(mirror: Mirror, python, tmp_path: Path) -> None:
    gsm8k = tmp_path / "hub" / "datasets" / "openai" / "gsm8k"
    files = [("main", "main/train.jsonl"), ("socratic", "socratic/train.jsonl")]
    configs = "".join(
        f"- config_name: {name}\n  data_files:\n  - split: train\n    path: {path}\n" for name, path in files
    )
    for _, path in files:
        (gsm8k / path).parent.mkdir(parents=True)
        (gsm8k / path).write_text('{"question": "What is 1 + 1?", "answer": "#### 2"}\n')
    (gsm8k / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")
    read = "from rstar_mini.problems import load_problems\nprint(load_problems('gsm8k')[0].answer)"
    done = python(read)
    assert done.stdout.strip() == "2", done.stderr
    assert mirror.fetched() == ["README.md", "train.jsonl"]
    assert python(read, HF_HUB_OFFLINE="1").stdout.strip() == "2"
