"""The endpoint engine against a server that does as it is told: good answers, bad moments, the end of patience."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rstar_mini.cli import app
from rstar_mini.errors import UserError
from rstar_mini.evaluation.compare import reported
from rstar_mini.evolution.models import Models
from rstar_mini.policy import Request, noise_key
from rstar_mini.policy.endpoint import TRIES, EndpointPolicy
from rstar_mini.policy.transformers_policy import TransformersPolicy
from rstar_mini.prompts import Prompt
from rstar_mini.recipes import load_recipe
from rstar_mini.types import Problem, Step

STEP = "<code>\n# Count\nx = 3\n<end_of_step>"


class Exchange:
    """One request at the server: its body, and what can be done about it."""

    def __init__(self, handler: BaseHTTPRequestHandler, number: int) -> None:
        self.handler, self.number = handler, number
        length = int(handler.headers["Content-Length"])
        self.body: dict[str, Any] = json.loads(handler.rfile.read(length))
        self.headers = dict(handler.headers)
        self.cut_after: int | None = None

    def refuse(self, status: int, reply: Any = "", **headers: str) -> None:
        content = (json.dumps(reply) if isinstance(reply, dict) else reply).encode()
        self.handler.send_response(status)
        for name, value in headers.items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.send_header("Content-Length", str(len(content)))
        self.handler.end_headers()
        self.handler.wfile.write(content)

    def stream(self, text: str, end: bool = True, seconds: float = 0.0, then: str = "", chat: bool = False) -> None:
        """Send the text in small pieces; `cut_after` notes the piece at which the client hung up."""
        self.handler.send_response(200)
        self.handler.send_header("Content-Type", "text/event-stream")
        self.handler.end_headers()
        self._say(": a comment, as some servers send to keep the line open")
        for i in range(0, len(text), 5):
            try:
                piece = {"delta": {"content": text[i : i + 5]}} if chat else {"text": text[i : i + 5]}
                self._say("data: " + json.dumps({"choices": [piece | {"finish_reason": None}]}))
            except OSError:
                self.cut_after = i
                return
            time.sleep(seconds)
        if then:
            self._say(then)
        if end:
            self._say("data: " + json.dumps({"choices": [{"text": "", "finish_reason": "length"}]}))
            self._say("data: [DONE]")

    def _say(self, line: str) -> None:
        self.handler.wfile.write(f"{line}\n\n".encode())
        self.handler.wfile.flush()


class FakeServer:
    """Answers each request by `play`; `seen` holds all exchanges."""

    def __init__(self) -> None:
        self.seen: list[Exchange] = []
        self.play: Callable[[Exchange], None] = lambda exchange: exchange.stream(STEP)
        fake, lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path in ("/v1/completions", "/v1/chat/completions")
                with lock:
                    exchange = Exchange(self, len(fake.seen))
                    fake.seen.append(exchange)
                fake.play(exchange)

            def log_message(self, *_: Any) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 100

            def handle_error(self, *_: Any) -> None:
                """Clients that hang up are part of the tests."""

        self.http = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server() -> Iterator[FakeServer]:
    fake = FakeServer()
    yield fake
    fake.close()


@pytest.fixture
def make(base, server: FakeServer) -> Iterator[Callable[..., EndpointPolicy]]:
    """Makes policies that ask the fake server and are closed at the end; nothing may be left of them then."""
    made: list[EndpointPolicy] = []

    def policy(url: str = server.url, **options: Any) -> EndpointPolicy:
        made.append(EndpointPolicy(url, "teacher", base[1], Prompt(), **({"pause": 0.01, "patience": 2.0} | options)))
        return made[-1]

    threads = threading.active_count()
    yield policy
    for each in made:
        each.close()
    deadline = time.monotonic() + 3
    while threading.active_count() > threads and time.monotonic() < deadline:
        time.sleep(0.01)  # the server's threads notice that the client has gone
    assert threading.active_count() <= threads


def request(name: str = "p", n: int = 1, steps: tuple[Step, ...] = ()) -> Request:
    return Request(Problem(name, f"{name}?", "3"), steps, n, noise_key(0, name))


def gives_up(policy: EndpointPolicy) -> str:
    """The line with which a request fails."""
    with pytest.raises(UserError) as caught:
        policy.propose([request()], 1.0)
    return str(caught.value)


def test_a_step_comes_as_text_with_its_tokens(make, server, base) -> None:
    earlier = Step("<code>\na = 1\n<end_of_code>", output="\n<output>1<end_of_output>\n")
    [[step]] = make(max_step_tokens=17).propose([request(steps=(earlier,))], 0.5)
    assert step == Step(STEP, tokens=len(base[1].encode(STEP)))
    body = server.seen[0].body
    assert body.pop("seed") < 2**31
    expected = {"model": "teacher", "prompt": "p?\n" + earlier.full_text, "max_tokens": 17}
    assert body == expected | {"temperature": 0.5, "top_p": 1.0, "stream": True}


def test_the_tokens_are_those_that_the_transformers_engine_counts(make, server, base) -> None:
    asked = Request(Problem("p", "Tom has 3 boxes with 8 pens in each box. How many pens are there?", "24"), (), 1, 0)
    [[step]] = TransformersPolicy(*base, Prompt()).propose([asked], 0.0)
    server.play = lambda exchange: exchange.stream(step.text)
    assert make().propose([asked], 0.0) == [[step]]


def test_the_text_is_cut_behind_the_first_tag_and_the_stream_closed(make, server) -> None:
    server.play = lambda exchange: exchange.stream(STEP + "\n# More\n" * 1000, seconds=0.001)
    [[step]] = make().propose([request()], 1.0)
    assert step.text == STEP
    deadline = time.monotonic() + 3
    while server.seen[0].cut_after is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.seen[0].cut_after is not None, "the server could go on writing"


def test_a_text_without_a_tag_is_given_as_it_is(make, server) -> None:
    server.play = lambda exchange: exchange.stream("# No end in sight")
    assert make().propose([request()], 1.0)[0][0].text == "# No end in sight"


def test_candidates_have_seeds_of_their_own_and_the_same_ones_again(make, server) -> None:
    server.play = lambda exchange: exchange.stream(f"{exchange.body['seed']}<end_of_step>")
    policy = make()
    first = policy.propose([request("a", 4), request("b", 4)], 1.0)
    assert len({step.text for steps in first for step in steps}) == 8
    assert make(in_flight=1).propose([request("b", 4), request("a", 4)], 1.0) == first[::-1]


def test_what_is_done_comes_while_the_rest_is_still_written(make, server) -> None:
    hold = threading.Event()

    def play(exchange: Exchange) -> None:
        if exchange.body["prompt"].startswith("slow"):
            hold.wait(5)
        exchange.stream(f"{exchange.body['prompt']}<end_of_step>")

    server.play, policy = play, make()
    slow, quick = request("slow", 2), request("quick", 3)
    policy.submit([slow], 1.0)
    policy.submit([quick], 1.0)
    [(which, steps)] = policy.collect()
    assert which is quick and [step.text for step in steps] == ["quick?\n<end_of_step>"] * 3
    hold.set()
    [(which, steps)] = policy.collect()
    assert which is slow and len(steps) == 2
    assert policy.collect() == []


def test_no_more_are_in_flight_than_asked_for(make, server) -> None:
    now, most, lock = 0, 0, threading.Lock()

    def play(exchange: Exchange) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.02)
        with lock:
            now -= 1
        exchange.stream(STEP)

    server.play = play
    make(in_flight=3).propose([request(str(i), 3) for i in range(5)], 1.0)
    assert most == 3


@pytest.mark.parametrize(
    ("trouble", "expected"),
    [
        (lambda exchange: exchange.refuse(500, {"error": {"message": "out of luck"}}), "status 500: out of luck"),
        (lambda exchange: exchange.refuse(429, "slow down"), "status 429: slow down"),
        (lambda exchange: exchange.stream("# Half a st", end=False), "the answer was cut off"),
        (lambda exchange: exchange.stream("", then='data: {"error": {"message": "engine died"}}'), "engine died"),
        (lambda exchange: time.sleep(1.0), "no word from the server for 0.3 s"),
        (lambda exchange: exchange.handler.connection.close(), "the connection broke"),
    ],
)
def test_trouble_that_passes_is_tried_again_and_a_bounded_number_of_times(make, server, trouble, expected) -> None:
    server.play = lambda exchange: exchange.stream(STEP) if exchange.number == 2 else trouble(exchange)
    policy = make(patience=0.3)
    assert policy.propose([request()], 1.0)[0][0].text == STEP
    assert len({exchange.body["seed"] for exchange in server.seen}) == 1
    server.play = trouble
    line = gives_up(policy)
    assert server.url in line and expected in line and f"{TRIES} times in a row" in line and "start again" in line
    deadline = time.monotonic() + 10
    while len(server.seen) < 3 + TRIES and time.monotonic() < deadline:  # the server may notice later than the client
        time.sleep(0.01)
    assert len(server.seen) == 3 + TRIES


def test_nobody_at_the_address(make, server) -> None:
    server.close()
    assert "no connection" in gives_up(make())


@pytest.mark.parametrize("as_date", [False, True])
def test_the_server_says_how_long_to_wait(make, server, as_date: bool) -> None:
    def play(exchange: Exchange) -> None:
        later = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 1.6)) if as_date else "0.5"
        exchange.stream(STEP) if exchange.number else exchange.refuse(429, "busy", Retry_After=later)

    server.play = play
    start = time.monotonic()
    make().propose([request()], 1.0)
    assert time.monotonic() - start >= 0.5


def test_a_wait_beyond_patience_is_told_at_once(make, server) -> None:
    server.play = lambda exchange: exchange.refuse(429, "quota used up", Retry_After="3600")
    assert "quota used up; it wants to be left alone for 3600 s" in gives_up(make())
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("status", "reply", "expected"),
    [
        (400, {"error": {"message": "bad temperature"}}, "400: bad temperature; change policy.url"),
        (400, {"error": {"message": "the context length is 10"}}, "400: the context length is 10"),
        (401, {"detail": "who are you?"}, "401: who are you?; change the environment variable OPENAI_API_KEY"),
        (404, {"error": "no model 'teacher'"}, "404: no model 'teacher'"),
        (405, "<html>not\nhere</html>", "405: <html>not here</html>"),
    ],
)
def test_a_refusal_is_told_at_once_in_the_servers_words(make, server, status, reply, expected) -> None:
    server.play = lambda exchange: exchange.refuse(status, reply)
    line = gives_up(make())
    assert expected in line and server.url in line
    assert len(server.seen) == 1


def test_a_path_that_fills_the_context_is_a_dead_end(make, server) -> None:
    server.play = lambda exchange: exchange.refuse(400, {"message": "maximum context length is 10 tokens"})
    assert make().propose([request(n=2, steps=(Step(STEP),))], 1.0) == [[Step(""), Step("")]]


def test_a_server_of_another_kind_is_recognised(make, server) -> None:
    server.play = lambda exchange: exchange.stream("", then="data: <html>")
    assert "does not speak OpenAI's completions API" in gives_up(make())


def test_what_others_have_finished_outlives_a_failure(make, server) -> None:
    def play(exchange: Exchange) -> None:
        if exchange.body["prompt"].startswith("bad"):
            exchange.refuse(400, "no")
        else:
            time.sleep(0.1)
            exchange.stream(STEP)

    server.play, policy = play, make()
    good = [request(str(i), 2) for i in range(4)]
    policy.submit([good[0], request("bad", 2), *good[1:]], 1.0)
    with pytest.raises(UserError):
        policy.collect()
    done = []
    while more := policy.collect():
        done += more
    assert {id(which) for which, _ in done} == set(map(id, good))


@pytest.mark.skipif(os.name == "nt", reason="a process cannot press Ctrl-C for itself on Windows")
def test_ctrl_c_and_close_break_off_at_once(make, server) -> None:
    server.play = lambda exchange: exchange.stream(STEP, seconds=0.5)
    policy = make(patience=60)
    policy.submit([request(str(i), 8) for i in range(8)], 1.0)
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        policy.collect()
    policy.close()
    policy.close()
    assert time.monotonic() - start < 2
    assert policy.collect() == []


def test_the_key_comes_from_the_environment(make, server, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sesame\n")
    make().propose([request()], 1.0)
    assert server.seen[0].headers["Authorization"] == "Bearer sesame"


def test_an_endpoint_makes_the_data_of_round_1_and_nothing_else(server, tmp_path) -> None:
    options = ["policy.engine=endpoint", f"policy.url={server.url}", "policy.served_model=teacher"]
    models = Models(load_recipe("tiny", options), tmp_path)
    teacher = models.searching_policy(1)
    assert isinstance(teacher, EndpointPolicy)
    assert teacher.propose([request()], 1.0)[0][0].text == STEP
    teacher.close()
    assert isinstance(models.policy(0), TransformersPolicy), "what is evaluated is the run's own base"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (["policy.engine=endpoint"], "policy: engine 'endpoint' needs url and served_model"),
        (["policy.url=http://x"], "policy: url and served_model are for engine 'endpoint' alone"),
        (["policy.engine=endpoint", "policy.url=x", "policy.served_model=m"], "policy.url: x is wrong"),
        (["policy.engine=vlm"], "policy.engine: vlm is wrong"),
    ],
)
def test_recipes_say_what_belongs_together(changes: list[str], expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        load_recipe("tiny", changes)


def test_a_chat_endpoint_is_compared_and_nothing_is_asked_twice(server, tmp_path, monkeypatch) -> None:
    """Right on the first of two problems; the paper's systems on MATH stand beside it, told apart."""
    monkeypatch.chdir(tmp_path)
    server.play = lambda exchange: exchange.stream("I think, so \\boxed{4}.", chat=True)
    rows = [{"question": "2 + 2?", "answer": "4"}, {"question": "2 + 3?", "answer": "5"}]
    Path("sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = ["compare", "sums.jsonl", "--endpoint", f"clever@{server.url}"]
    first, again = (CliRunner().invoke(app, command, env={"COLUMNS": "120"}) for _ in range(2))
    assert first.exit_code == 0, first.output
    assert len(server.seen) == 2 and "temperature" not in server.seen[0].body
    asked = [exchange.body["messages"][0]["content"] for exchange in server.seen]
    assert any(text.startswith("2 + 2?\nThink step by step") for text in asked)
    for told in (first, again):
        assert "clever (endpoint)" in told.output and "50.0 [9.5, 90.5]" in told.output


def test_what_the_paper_reports_is_told_apart(server, monkeypatch, tmp_path) -> None:
    standings = {one.system: one for one in reported("aime2024")}
    assert standings["o1-preview"].percent == 44.6 and standings["o1-preview"].table == 1
    assert standings["Qwen2.5-Math-7B rStar-Math, 64 trajectories"].percent == 53.3  # 8 of 15, not 3.3
    assert not any(one.n for one in standings.values())
    assert reported("svamp") == []


@pytest.mark.parametrize("endpoint", ["http://localhost:1/v1", "model@localhost", "@http://localhost"])
def test_an_endpoint_needs_a_model_and_an_address(endpoint) -> None:
    told = CliRunner().invoke(app, ["compare", "x.jsonl", "--endpoint", endpoint])
    assert told.exit_code == 2 and "it should be MODEL@URL" in told.stderr
