"""The vLLM engine: `vllm serve` as a process of its own, asked as any other endpoint is.

A process and not an import, because the versions of torch and transformers that vLLM is tied to are not ours, and
because its memory is given back for sure when it ends, before training needs it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rstar_mini.api_key import Key
from rstar_mini.code_cot import STOPS
from rstar_mini.errors import ServerLost, UserError
from rstar_mini.policy.base import Request
from rstar_mini.policy.endpoint import EndpointPolicy
from rstar_mini.prompts import Prompt
from rstar_mini.tokens import cached_encoder

START_SECONDS = 900.0  # loading and compiling a large model takes minutes
LEAST_SHARE = 0.1  # of the GPU's memory: with less, vLLM would not start, and then it says what it lacks
OPTIONS = (
    "--host 127.0.0.1 --enable-prefix-caching --disable-uvicorn-access-log "
    "--generation-config vllm "  # sample as the recipe says, not as a file beside the weights does
    "--stream-interval 1000"  # the server finds the closing tags itself, so a step may come in one piece
)
ADAPTER = "policy"  # the name under which the server knows a round's adapter
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # that vLLM makes room for
NO_KEY = Key("", "RSTAR_VLLM, whose server asks for a key")
_ERROR = re.compile(r"(^|\] )[\w.]+(Error|Exception): ")
# The server ends when our end of the pipe closes, and that is also when this process is killed.
_KEEPER = """
exec 3<&0
"$@" </dev/null &
server=$!
(read -r _ <&3; kill -TERM $server; sleep 10; kill -KILL 0) &
wait $server
"""


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter in the folder that PEFT saved it in, and its rank."""

    folder: Path
    rank: int


def serving_options(adapter: Adapter | None, four_bits: bool, share: float) -> list[str]:
    """How vLLM serves an adapter, holds the base in 4 bits (NF4), and takes its share of the GPU's memory."""
    options = ["--gpu-memory-utilization", f"{share:.2f}"]
    if four_bits:
        options += ["--quantization", "bitsandbytes"]
    if adapter:
        rank = next((rank for rank in RANKS if rank >= adapter.rank), adapter.rank)
        options += ["--enable-lora", "--max-lora-rank", str(rank), "--lora-modules", f"{ADAPTER}={adapter.folder}"]
    return options


def memory_share(reserved: int) -> float:
    """The share of the GPU that is free now, less `reserved` bytes for what the PPM is going to need."""
    if not torch.cuda.is_available():
        return 0.5  # of a CPU's memory vLLM takes what VLLM_CPU_KVCACHE_SPACE says
    free, total = torch.cuda.mem_get_info()
    return max(LEAST_SHARE, (free - reserved) / total)


class VllmServer:
    """A running `vllm serve FOLDER` on a free port of this machine.

    Args:
        folder: weights and tokenizer, as `save_pretrained` writes them.
        dtype: precision in which it computes, "float32" or "bfloat16".
        log: file for what the server prints.
        options: further ones of `vllm serve`.

    Raises:
        UserError: vLLM is not there, or does not start.
    """

    def __init__(self, folder: Path, dtype: str, log: Path, options: Sequence[str] = ()) -> None:
        command = find_vllm()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                ["sh", "-c", _KEEPER, "sh", *command, str(folder)]
                + ["--port", str(port), "--dtype", dtype, *OPTIONS.split(), *options],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,  # a group of its own: Ctrl-C is for us, and the group ends as a whole
            )
        try:
            self._wait_until_up()
        except BaseException:
            self.close()
            raise

    def _wait_until_up(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            self.examine()
            with contextlib.suppress(httpx.TransportError):
                if self._healthy():
                    return
            time.sleep(0.2)
        raise UserError(f"vLLM did not get ready within {START_SECONDS:.0f} s; its log ends:\n{self._last_words()}")

    def _healthy(self) -> bool:
        with httpx.stream("GET", f"{self.url}/health", trust_env=False) as reply:  # whose body nobody reads
            return reply.status_code == 200

    def examine(self) -> None:
        """See that the server lives.

        Raises:
            ServerLost: it has ended; with the end of its log.
        """
        if (code := self.process.poll()) is not None:
            how = f"by signal {code - 128}" if code > 128 else f"with code {code}"  # as the shell counts
            raise ServerLost(
                f"the vLLM server ended {how}; start again, and a run goes on where it stopped. "
                f"The server's log ends:\n{self._last_words()}"
            )

    def _last_words(self) -> str:
        """The first error, which is the cause of all that follows it, and the last lines."""
        lines = self.log.read_text("utf-8", "replace").splitlines()
        return "\n".join([line for line in lines if _ERROR.search(line)][:1] + lines[-5:])

    def close(self) -> None:
        """End the server and all its processes: politely, and after some seconds for certain."""
        assert self.process.stdin
        self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class VllmPolicy(EndpointPolicy):
    """A causal language model, served by vLLM, as a policy; otherwise it takes what `TransformersPolicy` takes.

    It sends tokens instead of text, exactly those that the transformers engine would read.

    Args:
        model: a model, which is written out for the server, or the folder of one in safetensors.
        dtype: precision in which the server computes, "float32" or "bfloat16".
        adapter: a round's adapter, which the server adds to the model.
        four_bits: the server holds the linear layers in NF4.
        reserved: bytes of the GPU's free memory that the server leaves to others.

    Raises:
        UserError: vLLM is not there, or does not start.
    """

    def __init__(
        self,
        model: PreTrainedModel | Path,
        dtype: str,
        tokenizer: PreTrainedTokenizerBase,
        prompt: Prompt,
        max_step_tokens: int = 64,
        batch_rows: int = 1024,
        adapter: Adapter | None = None,
        four_bits: bool = False,
        reserved: int = 0,
    ) -> None:
        self.encode = cached_encoder(tokenizer.encode)
        with contextlib.ExitStack() as held:  # undone when something goes wrong in here, else by `close`
            scratch = folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="rstar-mini-")))
            if isinstance(model, Path):
                folder = model
            else:
                model.save_pretrained(folder)
                tokenizer.save_pretrained(folder)
            options = serving_options(adapter, four_bits, memory_share(reserved))
            self.server = VllmServer(folder, dtype, scratch / "vllm.log", options)
            held.callback(self.server.close)
            name = ADAPTER if adapter else str(folder)
            super().__init__(f"{self.server.url}/v1", name, tokenizer, prompt, max_step_tokens, batch_rows, key=NO_KEY)
            held.callback(super().close)
            self._held = held.pop_all()

    def body(self, request: Request, temperature: float, seed: int) -> dict[str, Any]:
        """As for any endpoint, but the server itself stops behind a closing tag, which may be a special token."""
        texts = [self.prompt(request.problem.question)]
        for step in request.steps:
            texts += [step.text, step.output]
        own = {
            "prompt": self.encode.joined(texts),
            "skip_special_tokens": False,
            "stop": list(STOPS),
            "include_stop_str_in_output": True,
        }
        return super().body(request, temperature, seed) | own

    def examine(self) -> None:
        """No second try at a server that has ended."""
        self.server.examine()

    def close(self) -> None:
        """Break off what is asked for and end the server; may be called again."""
        self._held.close()


def find_vllm() -> list[str]:
    """The command to which the folder to serve is appended: RSTAR_VLLM, which may bring options, or `vllm serve`.

    Raises:
        UserError: neither is there.
    """
    command = shlex.split(os.environ.get("RSTAR_VLLM", "vllm serve"))
    if not command or not shutil.which(command[0]):
        raise UserError(
            f"policy.engine=vllm needs vLLM, and {command[0] if command else 'RSTAR_VLLM'} is not there; install it in "
            'an environment of its own, as .ci/vllm does, and set RSTAR_VLLM="/path/to/that/bin/vllm serve"'
        )
    return command
