"""The endpoint engine against servers that mean harm: each reply ends in time and in little memory, in one line."""

from __future__ import annotations

import gzip
import itertools
import json
import re
import resource
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from transformers import AutoTokenizer

from rstar_mini.api_key import key_of_recipe
from rstar_mini.errors import UserError
from rstar_mini.paths import data_file
from rstar_mini.policy import Request, noise_key
from rstar_mini.policy.endpoint import ChatEndpoint, EndpointPolicy
from rstar_mini.prompts import Prompt
from rstar_mini.types import Problem

SECONDS, MEGABYTES = 10, 100
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
STEP = "<code>\n# Count\nx = 3\n<end_of_step>"
SECRET = "sesame-0123456789"
Reply = Iterator[bytes]


class Server:
    """Answers each request with the bytes of `reply`, on this machine only, for some seconds at most."""

    def __init__(self) -> None:
        self.reply: Callable[[], Reply] = lambda: iter(())
        self.heads: list[str] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/v1"
        self.until = time.monotonic() + 60
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            try:
                data = b""
                while b"\r\n\r\n" not in data:
                    data += connection.recv(65536)
                head, _, body = data.partition(b"\r\n\r\n")
                self.heads.append(head.decode())
                [length] = re.findall(rb"(?i)content-length: (\d+)", head)
                while len(body) < int(length):  # else closing would break the connection off
                    body += connection.recv(65536)
                for part in self.reply():
                    connection.sendall(part)
                    if time.monotonic() > self.until:
                        return
            except OSError:
                return


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.until = 0.0
    server.listener.close()


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(str(data_file("tiny-base")))


def event(text: object) -> bytes:
    return b"data: " + json.dumps({"choices": [{"text": text}]}).encode() + b"\n\n"


def slowly(data: bytes, seconds: float = 0.2) -> Reply:
    for byte in itertools.cycle(data):
        time.sleep(seconds)
        yield bytes([byte])


def refusal(status: str, headers: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\n{headers}\r\n".encode()


BOMB = gzip.compress(b"data: " + bytes(200 * 2**20), 1)
CHAIN = itertools.chain
ENDLESS: dict[str, Callable[[], Reply]] = {
    "a line": lambda: CHAIN([HEAD, b"data: "], itertools.repeat(b"x" * 65536)),
    "comments": lambda: CHAIN([HEAD], itertools.repeat(b": still here\n\n" * 1000)),
    "slow comments": lambda: CHAIN([HEAD], slowly(b": x\n\n", 0.05)),
    "no choices": lambda: CHAIN([HEAD], itertools.repeat(b'data: {"choices": []}\n\n' * 1000)),
    "slow bytes": lambda: CHAIN([HEAD], slowly(b"data: x")),
    "slow head": lambda: slowly(b"HTTP/1.1 200 OK\r\nX: "),
    "103": lambda: itertools.repeat(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
    "headers": lambda: CHAIN([b"HTTP/1.1 200 OK\r\n"], itertools.repeat(b"X-Y: z\r\n" * 1000)),
    "an error body": lambda: CHAIN([refusal("400 Bad Request")], itertools.repeat(b"x" * 65536)),
    "a slow error body": lambda: CHAIN([refusal("400 Bad Request")], slowly(b"x")),
    "gzip": lambda: iter([HEAD[:-2] + b"Content-Encoding: gzip\r\n\r\n", BOMB]),
    "gzip of an error": lambda: iter([refusal("400 Bad Request", "Content-Encoding: gzip\r\n"), BOMB]),
    "gzip over plain text": lambda: iter([HEAD[:-2] + b"Content-Encoding: gzip\r\n\r\n", event(STEP)]),
}
SHAPES = (
    '{"choices": [1]}', '{"choices": "abc"}', '{"choices": null}', '{"choices": [{"text": 5}]}', '{"choices": {}}',
    '{"choices": [{"text": {"a": 1}}]}', "[1]", "5", "null", '"x"', '{"choices": [[]]}', "{", "[" * 50_000,
    '{"choices": [{"text": ' + "9" * 5000 + "}]}",
)  # fmt: skip


def fails(policy: EndpointPolicy) -> str:
    """The line with which a request fails, within time and memory."""
    start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError) as caught:
        policy.propose([Request(Problem("p", "p?", "3"), (), 1, noise_key(0))], 1.0)
    policy.close()
    assert time.monotonic() - start < SECONDS
    if sys.platform == "linux":
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEGABYTES * 1024
    line = str(caught.value)
    assert "127.0.0.1" in line and "\n" not in line and line.isprintable()
    return line


def asked(server: Server, tokenizer, **options) -> EndpointPolicy:
    return EndpointPolicy(server.url, "m", tokenizer, Prompt(), **({"pause": 0.01, "patience": 5.0} | options))


def text_of(policy: EndpointPolicy) -> str:
    [[step]] = policy.propose([Request(Problem("p", "p?", "3"), (), 1, noise_key(0))], 1.0)
    policy.close()
    return step.text


@pytest.mark.parametrize("kind", ENDLESS)
def test_what_never_ends_is_ended(server: Server, tokenizer, kind: str) -> None:
    server.reply = ENDLESS[kind]
    fails(asked(server, tokenizer, patience=0.5))
    server.reply = lambda: iter([HEAD, event(STEP), b"data: [DONE]\n\n"])
    assert text_of(asked(server, tokenizer)) == STEP, "the server has been mended"


@pytest.mark.parametrize("data", SHAPES)
def test_events_of_another_shape_are_one_line(server: Server, tokenizer, data: str) -> None:
    server.reply = lambda: iter([HEAD, f"data: {data}\n\n".encode()])
    assert "does not speak OpenAI's completions API" in fails(asked(server, tokenizer))


@pytest.mark.parametrize("delta", ['"x"', "5", '{"content": 5}', '{"content": ["x"]}'])
def test_chat_replies_of_another_shape_are_one_line(server: Server, delta: str) -> None:
    server.reply = lambda: iter([HEAD, f'data: {{"choices": [{{"delta": {delta}}}]}}\n\n'.encode()])
    policy = ChatEndpoint(server.url, "m", Prompt(), 100)
    assert "does not speak OpenAI's completions API" in fails(policy)


def test_an_unknown_charset_does_not_matter(server: Server, tokenizer) -> None:
    head = HEAD.replace(b"event-stream", b"event-stream; charset=klingon")
    server.reply = lambda: iter([head, event(STEP)])
    assert text_of(asked(server, tokenizer)) == STEP
    server.reply = lambda: iter([refusal("400 no", "Content-Type: text/plain; charset=klingon\r\n"), b"\xff\xfe no"])
    assert "status 400" in fails(asked(server, tokenizer))


TOO_MANY = (lambda: itertools.repeat(event("x ")), lambda: iter([event("y " * 20_000), event(STEP)]))


@pytest.mark.parametrize("reply", TOO_MANY)
def test_more_tokens_than_asked_for_are_cut_off(server: Server, tokenizer, reply: Callable[[], Reply]) -> None:
    server.reply = lambda: CHAIN([HEAD], reply())
    policy = asked(server, tokenizer, max_step_tokens=32)
    [[step]] = policy.propose([Request(Problem("p", "p?", "3"), (), 1, noise_key(0))], 1.0)
    policy.close()
    assert step.tokens == 32 and len(step.text) < 200


def test_half_a_character_is_replaced_and_two_halves_are_one(server: Server, tokenizer) -> None:
    server.reply = lambda: iter([HEAD, event("# a\ud800b "), event("\ud83d"), event("\ude00"), event("<end_of_step>")])
    assert text_of(asked(server, tokenizer)) == "# a\ufffdb \U0001f600<end_of_step>"


@pytest.mark.parametrize("part", ["", "x" * 290])
def test_the_key_is_never_shown(server: Server, tokenizer, monkeypatch, part: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    said = json.dumps({"error": {"message": f"{part} no such key: {SECRET}"}})
    for begin in (refusal("401 Unauthorized"), refusal("500 Oh"), HEAD + b"data: "):
        server.reply = lambda begin=begin: iter([begin, said.encode() + b"\n\n"])
        line = fails(asked(server, tokenizer))
        assert not re.search("sesame", line)
    assert f"authorization: bearer {SECRET}" in server.heads[0].lower()
    server.reply = lambda: iter([HEAD, event(f"# {SECRET[:8]}"), event(f"{SECRET[8:]}\n<end_of_step>")])
    assert text_of(asked(server, tokenizer)) == "# ***\n<end_of_step>", "nor kept in a tree"


def test_a_server_of_a_recipe_gets_no_key_and_the_user_is_told(server: Server, tokenizer, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("RSTAR_MINI_KEY_HOSTS", raising=False)
    server.reply = lambda: iter([refusal("401 Unauthorized")])
    line = fails(asked(server, tokenizer, key=key_of_recipe(server.url)))
    assert "--set policy.url=URL" in line and "authorization" not in server.heads[0].lower()


def test_codes_for_the_terminal_stay_with_the_server(server: Server, tokenizer) -> None:
    server.reply = lambda: iter([refusal("400 Bad"), b'{"error": "\\u001b[2J\\u202eabc\x1b]0;x\x07"}'])
    fails(asked(server, tokenizer))


@pytest.mark.parametrize("pause", ["nan", "-5", "inf", "1e400", "Mon, 01 Jan 99999 00:00:00 GMT", "x" * 1000])
def test_a_pause_that_is_none_is_no_trouble(server: Server, tokenizer, pause: str) -> None:
    server.reply = lambda: iter([refusal("429 Slow", f"Retry-After: {pause}\r\nContent-Length: 0\r\n")])
    assert "429" in fails(asked(server, tokenizer))


def test_cookies_are_not_kept(server: Server, tokenizer) -> None:
    server.reply = lambda: iter([refusal("503 x", "Set-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n")])
    fails(asked(server, tokenizer))
    assert len(server.heads) == 6 and not any("cookie" in head.lower() for head in server.heads)


def test_time_grows_with_the_length_of_a_reply() -> None:
    """Ten times the events in about ten times the CPU time."""
    server, seconds = Server(), []
    piece = b'data: {"choices": [{"delta": {"content": "ab "}}]}\n\n'
    for events in (3_000, 30_000):
        server.reply = lambda events=events: iter([HEAD, *[piece] * events, b"data: [DONE]\n\n"])
        policy = ChatEndpoint(server.url, "m", Prompt(), events, 1)
        start = time.process_time()
        assert len(text_of(policy)) == 3 * events
        seconds.append(time.process_time() - start)
    server.listener.close()
    assert seconds[1] < 25 * seconds[0] + 0.5
