"""The endpoint engine: any server that speaks OpenAI's completions API, such as vLLM, llama.cpp, Ollama or a service.

A candidate is one streamed request with a seed of its own. As soon as a closing tag stands in the text, the text is cut
after it and the stream is closed, which makes the server stop writing. So nothing depends on how a server treats stop
strings: most leave them out of the text, and then nobody can tell which tag it was.

It takes httpx and no client library: what can go wrong in the middle of a stream must be tried again here in any case,
and then one loop may as well try everything again. Nor does a client library bound what a server sends. Here every
reply ends: by its size (`replies.Bounds`), by its tokens, or when no new token has come for a while.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

import httpx

from rstar_mini.api_key import Key, key_of_named
from rstar_mini.code_cot import first_step
from rstar_mini.errors import UserError
from rstar_mini.policy.base import Propose, Request, noise_key
from rstar_mini.policy.replies import (
    BadReply,
    Bounds,
    GrowingText,
    asked_pause,
    choices,
    event_data,
    in_one_line,
    in_words,
    refusal,
    text_of,
    well_formed,
)
from rstar_mini.prompts import Prompt
from rstar_mini.redact import without_keys
from rstar_mini.types import Step

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TRIES = 6
MOST = 256  # connections at once: more meet the limit on open files, and a server lets them queue anyway
PASSING = {408, 425, 429, 500, 502, 503, 504, 529}  # statuses after which the same request may succeed later


class _Passing(Exception):
    """Trouble that may be over at the next try; `pause` is how many seconds the server asks to wait."""

    def __init__(self, what: str, pause: float = 0.0) -> None:
        super().__init__(what)
        self.pause = pause


class _NoRoom(UserError):
    """The text is longer than the model can read."""


class EndpointPolicy(Propose):
    """A model behind an OpenAI-compatible completions endpoint as a policy.

    The requests run in a thread of their own, so the server writes while search runs programs. What has failed for good
    raises in `collect`; all else stays, and what is finished is still given out.

    Args:
        url: address under which `completions` is found, such as http://localhost:8000/v1.
        served_model: the model's name there.
        tokenizer: counts the tokens of a step, so that budgets mean the same for every engine.
        prompt: how a question becomes the text before the first step.
        max_step_tokens: a step that has not ended by then is given up.
        in_flight: most candidates asked for at once (256 at most).
        patience: seconds without a word from the server after which a try has failed.
        pause: seconds before the second try, about doubled before each further one.
        key: of the service; None: the environment's, for an address that the user has named (see `api_key`).
    """

    elsewhere = True
    path = "completions"

    def __init__(
        self,
        url: str,
        served_model: str,
        tokenizer: PreTrainedTokenizerBase | None,
        prompt: Prompt,
        max_step_tokens: int = 64,
        in_flight: int = 64,
        patience: float = 120.0,
        pause: float = 1.0,
        key: Key | None = None,
    ) -> None:
        self.key = key_of_named(url) if key is None else key
        self.url, self.served_model, self.tokenizer, self.prompt = url.rstrip("/"), served_model, tokenizer, prompt
        self.max_step_tokens, self.patience, self.pause = max_step_tokens, patience, pause
        self._asked: dict[Request, Future[list[Step]]] = {}
        in_flight = min(in_flight, MOST)
        self._free = asyncio.Semaphore(in_flight)
        authorization = {"Authorization": f"Bearer {self.key.value}"} if self.key.value else {}
        self._client = httpx.AsyncClient(
            headers={"Accept-Encoding": "identity"} | authorization,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            timeout=httpx.Timeout(patience, pool=None),
            limits=httpx.Limits(max_connections=in_flight),
            mounts={"all://127.0.0.1": None, "all://localhost": None},  # a proxy does not reach this machine
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def submit(self, requests: Sequence[Request], temperature: float) -> None:
        """Ask the server; returns at once."""
        for request in requests:
            self._asked[request] = asyncio.run_coroutine_threadsafe(self._answer(request, temperature), self._loop)

    def collect(self) -> list[tuple[Request, list[Step]]]:
        """Wait until a request is done; see `Policy.collect`.

        Raises:
            UserError: nothing is done but a request that failed for good; it counts as collected.
        """
        if not self._asked:
            return []
        wait(self._asked.values(), return_when=FIRST_COMPLETED)
        ended = [(request, answer) for request, answer in self._asked.items() if answer.done()]
        taken = [(request, answer) for request, answer in ended if answer.exception() is None] or ended[:1]
        for request, _ in taken:
            del self._asked[request]
        return [(request, answer.result()) for request, answer in taken]  # a failure that was taken raises here

    def close(self) -> None:
        """Break off what is still asked for and end the thread; may be called again."""
        if self._loop.is_closed():
            return
        self._asked = {}
        asyncio.run_coroutine_threadsafe(self._break_off(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _break_off(self) -> None:
        own = {asyncio.current_task()}
        for task in asyncio.all_tasks() - own:
            task.cancel()
        while others := asyncio.all_tasks() - own:
            await asyncio.wait(others)
            await asyncio.sleep(0)  # a stream that was broken off may still need a task to tidy up
        await self._client.aclose()

    async def _answer(self, request: Request, temperature: float) -> list[Step]:
        """All candidates of a request, in the order of their seeds, which have 31 bits."""
        bodies = [self.body(request, temperature, noise_key(request.key, i) >> 32) for i in range(request.n)]
        try:
            texts = await asyncio.gather(*map(self._patiently, bodies))
        except _NoRoom:
            if not request.steps:  # then no problem would ever fit
                raise
            texts = [""] * request.n  # a path that fills the model's context is a dead end
        return [self.step(text) for text in texts]

    def step(self, text: str) -> Step:
        """A text as a step of `max_step_tokens` at most, however many the server has sent."""
        assert self.tokenizer
        ids = self.tokenizer.encode(text, add_special_tokens=False)
        if len(ids) <= self.max_step_tokens:
            return Step(text, tokens=len(ids))
        return Step(str(self.tokenizer.decode(ids[: self.max_step_tokens])), tokens=self.max_step_tokens)

    def body(self, request: Request, temperature: float, seed: int) -> dict[str, Any]:
        """What is sent for a candidate."""
        text = self.prompt(request.problem.question) + "".join(step.full_text for step in request.steps)
        return {
            "model": self.served_model,
            "prompt": text,
            "max_tokens": self.max_step_tokens,
            "temperature": temperature,
            "top_p": 1.0,  # some servers cut the tail of the distribution unless told
            "stream": True,
            "seed": seed,
        }

    def said(self, choice: dict[str, Any]) -> str:
        """The new text in a choice of the stream."""
        return text_of(choice, "text")

    async def _patiently(self, body: dict[str, Any]) -> str:
        """One candidate, tried again after trouble that may pass.

        Raises:
            UserError: it did not, or the trouble is of a kind that stays.
        """
        trouble = _Passing("")
        async with self._free:
            for attempt in range(TRIES):
                if attempt:  # by chance a little more or less, so that not all come back at once
                    backoff = self.pause * 2 ** (attempt - 1) * random.uniform(0.75, 1.25)
                    await asyncio.sleep(max(trouble.pause, backoff))
                try:
                    return well_formed(without_keys(await self._stream(body)))
                except httpx.TransportError as error:
                    trouble = _Passing(in_words(error, self.patience))
                except _Passing as error:
                    trouble = error
                except (BadReply, httpx.InvalidURL) as error:
                    raise UserError(f"{self.url}: {error}; change policy.url, or see to that server") from error
                self.examine()
        raise UserError(
            f"{self.url}: {trouble}, {TRIES} times in a row; see that the server runs and that policy.url is right, "
            "then start again: a run goes on where it stopped"
        )

    def examine(self) -> None:
        """Called after each failure, for engines that can tell whether another try makes sense."""

    async def _stream(self, body: dict[str, Any]) -> str:
        """The text of one candidate, up to and with its first closing tag; without one, all of it."""
        most = 2 * self.patience  # of silence the client itself complains earlier: so here something came, but no token
        try:
            async with (
                asyncio.timeout(most) as watch,
                self._client.stream("POST", self._target(), json=body) as response,
            ):
                if response.status_code != 200:
                    raise await self._refusal(response)
                return await self._text(response, watch, most)
        except TimeoutError as error:
            raise BadReply(f"it sent no token for {most:g} s, though it went on sending") from error

    def _target(self) -> httpx.URL:
        url = httpx.URL(self.url)
        return url.copy_with(path=f"{url.path.rstrip('/')}/{self.path}")

    async def _text(self, response: httpx.Response, watch: asyncio.Timeout, most: float) -> str:
        reply, finished = GrowingText(Bounds(self.max_step_tokens)), False
        async for data in event_data(response, reply.bounds):
            if data == "[DONE]":
                return reply.text
            for choice in self._choices(data):
                reply.add(self.said(choice))
                finished = finished or bool(choice.get("finish_reason"))
                watch.reschedule(asyncio.get_running_loop().time() + most)
            if reply.closed:
                return first_step(reply.text) or ""
            if reply.full:  # it will not end by itself
                return reply.text
        if not finished:
            raise _Passing("the answer was cut off")
        return reply.text

    def _choices(self, data: str) -> list[dict[str, Any]]:
        """The choices in one event of the stream."""
        found = choices(without_keys(data)) if data else []
        if isinstance(found, str):
            raise _Passing(f"the server reports: {in_one_line(found)}")
        return found

    async def _refusal(self, response: httpx.Response) -> Exception:
        """What an answer without a stream means."""
        reason = await refusal(response, self.patience)
        said = f"status {response.status_code}: {in_one_line(reason) or response.reason_phrase}"
        if response.status_code in PASSING:
            pause = asked_pause(response.headers.get("retry-after", ""))
            if pause > self.patience:
                return UserError(f"{self.url}: {said}; it wants to be left alone for {pause:.0f} s: start again then")
            return _Passing(said, pause)
        remedy = "policy.url, policy.served_model, or what is asked of it"
        remedy = self.key.advice if response.status_code in (401, 403) else remedy
        line = f"{self.url} refused a request to '{self.served_model}' with {said}; change {remedy}"
        return _NoRoom(line) if response.status_code == 400 and "context" in reason.lower() else UserError(line)


class ChatEndpoint(EndpointPolicy):
    """A model behind the chat completions API: whole replies to a question, by the service's own sampling.

    Only what every service takes is sent; some models refuse a temperature or a seed. Nobody here can count its tokens.
    """

    path = "chat/completions"

    def __init__(self, url: str, served_model: str, prompt: Prompt, max_tokens: int, in_flight: int = 16) -> None:
        super().__init__(url, served_model, None, prompt, max_tokens, in_flight, patience=600.0)

    def body(self, request: Request, temperature: float, seed: int) -> dict[str, Any]:
        """What is sent for a reply."""
        said = [{"role": "user", "content": self.prompt(request.problem.question)}]
        limits = {"max_completion_tokens": self.max_step_tokens}
        return {"model": self.served_model, "messages": said, "stream": True} | limits

    def said(self, choice: dict[str, Any]) -> str:
        """The new text in a choice of the stream."""
        return text_of(choice, "delta", "content")

    def step(self, text: str) -> Step:
        """The whole reply; how many tokens it has, nobody knows here."""
        return Step(text)
