"""The vLLM engine with a real server; and what happens where there is none."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import torch
from transformers import set_seed

from rstar_mini.errors import UserError
from rstar_mini.evolution.models import Models
from rstar_mini.paths import cache_dir
from rstar_mini.policy import Request, noise_key
from rstar_mini.policy.transformers_policy import TransformersPolicy
from rstar_mini.policy.vllm_server import Adapter, VllmPolicy, VllmServer, find_vllm, serving_options
from rstar_mini.problems import load_problems
from rstar_mini.recipes import load_recipe
from rstar_mini.sandbox import Sandbox
from rstar_mini.search import Budget, Expander, search
from rstar_mini.types import Step

RECIPE = ["policy.engine=vllm", "policy.dtype=fp32", "policy.max_step_tokens=48"]
PROBLEMS = load_problems("generated", "test", 6)


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Models:
    """SmolLM2 as a recipe asks for it; skips where it or vLLM is missing."""
    if not list((cache_dir() / "smol").glob("*.gguf")):
        pytest.skip("the SmolLM2 weights are not here; rstar-mini fetch smol")
    try:
        find_vllm()
    except UserError as error:
        pytest.skip(str(error))
    return Models(load_recipe("smol", RECIPE), tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def served(models: Models) -> Iterator[VllmPolicy]:
    policy = models.policy(0)
    assert isinstance(policy, VllmPolicy)
    yield policy
    policy.close()


def requests(n: int, steps: tuple[Step, ...] = ()) -> list[Request]:
    return [Request(problem, steps, n, noise_key("vllm", problem.id)) for problem in PROBLEMS]


def group(server: VllmServer) -> list[int]:
    """The processes of a server that live."""
    found = subprocess.run(["ps", "-eo", "pid=,pgid=,stat="], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in found.splitlines()]
    return [int(pid) for pid, pgid, stat in rows if int(pgid) == server.process.pid and not stat.startswith("Z")]


def eventually(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)
    return condition()


@pytest.mark.vllm
def test_greedy_steps_are_those_of_the_transformers_engine(models: Models, served: VllmPolicy) -> None:
    """Two steps of each problem; where they part, the two tokens must have been all but equally likely."""
    ours = TransformersPolicy(models.weights(0), models.tokenizer, models.prompt(0), 48)
    first = ours.propose(requests(1), 0.0)
    later = [
        Request(asked.problem, (Step(step.text, output="\n"),), 1, 0)
        for asked, [step] in zip(requests(1), first, strict=True)
        if step.text.endswith("<end_of_step>")
    ]
    assert later, "some steps end, so that a second one can be asked for"
    for asked in [*requests(1), *later]:
        [[mine]], [[theirs]] = ours.propose([asked], 0.0), served.propose([asked], 0.0)
        if mine.text != theirs.text:
            assert near_tie(models, asked, mine.text, theirs.text), (mine, theirs)


def near_tie(models: Models, asked: Request, mine: str, theirs: str, round_number: int = 0) -> bool:
    """True when at the first token in which the two differ, their log-probabilities are within 1e-3."""
    encode = models.tokenizer.encode
    before = [
        *encode(models.prompt(round_number)(asked.problem.question)),
        *encode("".join(s.full_text for s in asked.steps)),
    ]
    a, b = encode(mine), encode(theirs)
    place = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), None)
    if place is None:
        return False
    with torch.inference_mode():
        logits = models.weights(round_number)(torch.tensor([before + a[:place]])).logits[0, -1]
    return abs(float(logits[a[place]] - logits[b[place]])) < 1e-3


@pytest.mark.vllm
def test_a_seed_gives_its_sample_again(served: VllmPolicy) -> None:
    """One request after the other: in other company, rounding may tip a close decision."""
    for asked in requests(3)[:3]:
        [once], [again] = served.propose([asked], 0.7), served.propose([asked], 0.7)
        assert once == again
        assert len({step.text for step in once}) > 1, "siblings differ"


@pytest.mark.vllm
def test_prefixes_are_cached(served: VllmPolicy) -> None:
    served.propose(requests(2), 0.7)
    lines = httpx.get(f"{served.server.url}/metrics", trust_env=False).text.splitlines()
    hits = [float(line.split()[-1]) for line in lines if line.startswith("vllm:prefix_cache_hits_total")]
    assert sum(hits) > 1000, "the worked examples before each question alone have some hundred tokens"


@pytest.mark.vllm
def test_a_search_works(served: VllmPolicy) -> None:
    with Sandbox() as box:
        trees = search(PROBLEMS, Expander(served, box), Budget(candidates=3, rollouts=2, depth=4, temperature=0.7))
    assert all(tree.rollouts and tree.tokens for tree in trees)
    assert sum(len(tree.root.children) for tree in trees) > 0


@pytest.mark.vllm
def test_the_adapter_of_a_round_is_served_on_the_base(models: Models, tmp_path: Path) -> None:
    """Greedy steps of base and adapter are those of the two merged; the adapter is large enough to change them."""
    run = Models(load_recipe("smol", [*RECIPE, "policy.tuning=lora", "policy.lora_rank=4"]), tmp_path)
    adapted = run.policy_to_train(0)
    set_seed(0)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.02)
    adapted.save_pretrained(str(tmp_path / "round-1" / "policy"))
    ours = TransformersPolicy(run.weights(1), run.tokenizer, run.prompt(1), 24)
    base = TransformersPolicy(models.weights(0), run.tokenizer, run.prompt(1), 24)
    with contextlib.closing(run.policy(1, max_tokens=24)) as served:
        assert isinstance(served, VllmPolicy)
        changed = 0
        for asked in requests(1):
            [[mine]], [[theirs]], [[bare]] = (each.propose([asked], 0.0) for each in (ours, served, base))
            changed += mine.text != bare.text
            if mine.text != theirs.text:
                assert near_tie(run, asked, mine.text, theirs.text, round_number=1), (mine, theirs)
    assert changed > len(PROBLEMS) / 2


def test_what_vllm_is_asked_for(tmp_path: Path) -> None:
    plain = ["--gpu-memory-utilization", "0.40"]
    assert serving_options(None, False, 0.4) == plain
    lora = ["--enable-lora", "--max-lora-rank", "32", "--lora-modules", f"policy={tmp_path}"]
    assert serving_options(Adapter(tmp_path, 24), True, 0.4) == [*plain, "--quantization", "bitsandbytes", *lora]


@pytest.mark.vllm
def test_a_server_that_cannot_start_says_why(models: Models, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "nonsense"}')
    with pytest.raises(UserError, match="(?s)the vLLM server ended with code .*nonsense"):
        VllmServer(tmp_path, "float32", tmp_path / "vllm.log")


@pytest.mark.vllm
def test_a_server_killed_in_mid_search_is_told_and_nothing_hangs_or_stays(served: VllmPolicy) -> None:
    """The last test of this server, since a start takes a minute."""
    folder = Path(served.served_model)
    served.submit(requests(32), 0.7)
    time.sleep(0.3)
    victim, *_ = [pid for pid in group(served.server) if b"python" in command(pid).split(b"\0")[0]]
    os.kill(victim, signal.SIGKILL)
    start = time.monotonic()
    with pytest.raises(UserError, match="the vLLM server ended by signal 9; start again"):
        while served.collect():
            pass
    served.close()
    assert time.monotonic() - start < 30
    assert eventually(lambda: not group(served.server), 5) and not folder.exists()


def command(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


FAKE = """
import http.server, sys
port = int(sys.argv[sys.argv.index("--port") + 1])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small program in vLLM's place, so that processes are tested where there is no vLLM."""
    script = tmp_path / "fake.py"
    script.write_text(FAKE)
    monkeypatch.setenv("RSTAR_VLLM", f"'{sys.executable}' -S '{script}'")


posix = pytest.mark.skipif(os.name == "nt", reason="vLLM does not run on Windows")


@posix
def test_close_leaves_no_process(stand_in: None, tmp_path: Path) -> None:
    server = VllmServer(tmp_path, "float32", tmp_path / "vllm.log")
    assert len(group(server)) >= 2
    server.close()
    assert not group(server)


@posix
def test_a_server_outlives_no_owner_even_a_killed_one(stand_in: None, tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from rstar_mini.policy.vllm_server import VllmServer
server = VllmServer(folder := Path({str(tmp_path)!r}), "float32", folder / "vllm.log")
print(server.process.pid, flush=True)
input()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout
        pgid = int(owner.stdout.readline())
        owner.kill()

    def gone() -> bool:
        found = subprocess.run(["ps", "-eo", "pgid=,stat=,comm="], capture_output=True, text=True, check=True).stdout
        rows = [line.split() for line in found.splitlines()]
        return not [row for row in rows if int(row[0]) == pgid and "python" in row[2] and not row[1].startswith("Z")]

    assert eventually(gone, 5)


@posix
def test_a_server_that_ends_at_start_shows_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RSTAR_VLLM", "sh -c 'echo no memory; exit 3'")
    with pytest.raises(UserError, match="(?s)ended with code 3; .*no memory"):
        VllmServer(tmp_path, "float32", tmp_path / "vllm.log")


def test_without_vllm_the_engine_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RSTAR_VLLM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="needs vLLM, and vllm is not there; install it"):
        Models(load_recipe("tiny", ["policy.engine=vllm"]), tmp_path).policy(0)
    assert isinstance(Models(load_recipe("tiny"), tmp_path).policy(0), TransformersPolicy)
