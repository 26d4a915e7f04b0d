"""A round's training spread over devices: `accelerate launch` starts this module in a process for each of them.

On several machines, Ray starts `accelerate launch` on each, and they meet at the first.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import torch
import yaml

from rstar_mini.errors import UserError
from rstar_mini.evolution.learning import Part
from rstar_mini.evolution.owner import owner
from rstar_mini.evolution.run import Run
from rstar_mini.progress import Progress, Silent
from rstar_mini.recipes import Recipe
from rstar_mini.told import FAILED, WRONG, Listener, Told, line_of, tell
from rstar_mini.yaml_text import load_yaml

if TYPE_CHECKING:
    from rstar_mini.cluster.pool import Cluster

SHIPPED = Path(__file__).parent / "configurations"


def configuration_file(name_or_path: str) -> Path:
    """A shipped configuration of accelerate, or a file.

    Raises:
        UserError: there is none of this name, or it asks for what cannot be done here.
    """
    shipped = {file.stem: file for file in sorted(SHIPPED.glob("*.yaml"))}
    found = shipped.get(name_or_path, Path(name_or_path))
    if not found.is_file():
        raise UserError(
            f"--accelerate {name_or_path}: there is no such file; make one with `accelerate config`, or take one of "
            + ", ".join(shipped)
        )
    if why := _cannot(found):
        raise UserError(f"--accelerate {name_or_path}: {why}")
    return found


def _cannot(configuration: Path) -> str:
    """Why nothing can be trained as a configuration says, "" when it can."""
    try:
        told = load_yaml(configuration.read_text())
    except (yaml.YAMLError, UnicodeDecodeError):
        told = None
    if not isinstance(told, dict):
        return "it is no configuration of accelerate; make one with `accelerate config`"
    kind, fsdp = told.get("distributed_type", "NO"), told.get("fsdp_config") or {}
    if kind not in ("NO", "MULTI_GPU", "MULTI_CPU", "FSDP"):
        return f"distributed_type {kind} is not supported; NO, MULTI_GPU and FSDP are"
    if kind == "FSDP" and fsdp.get("fsdp_version") != 2:
        return "of FSDP only version 2 is supported; set fsdp_version: 2"
    if fsdp.get("fsdp_activation_checkpointing"):
        return "leave out fsdp_activation_checkpointing; the recipe's sft.recompute and ppm.recompute say so"
    machines, processes = told.get("num_machines", 1), told.get("num_processes", 1)
    if not isinstance(machines, int) or not isinstance(processes, int) or machines < 1 or processes % machines:
        return f"{processes} processes cannot be shared by {machines} machines"
    return ""


def machines_of(configuration: Path) -> tuple[int, int]:
    """On how many machines, and with how many processes on each, a configuration trains."""
    told = load_yaml(configuration.read_text())
    machines = told.get("num_machines", 1)
    return machines, told.get("num_processes", 1) // machines


def check_shares(configuration: Path, recipe: Recipe) -> None:
    """See that the devices of a configuration can share each step of a recipe's trainings evenly.

    Raises:
        UserError: they cannot, or there are not so many GPUs on this machine.
    """
    machines, each = machines_of(configuration)
    processes = machines * each
    for part, settings in {"sft": recipe.sft, "ppm": recipe.ppm}.items():
        share, rest = divmod(settings.batch, processes)
        if rest:
            raise UserError(
                f"{part}.batch {settings.batch} cannot be shared evenly by {processes} processes; "
                "choose a multiple of it"
            )
        if settings.micro_batch and share % min(settings.micro_batch, share):
            raise UserError(
                f"{part}.micro_batch {settings.micro_batch} does not divide the {share} of {part}.batch "
                f"{settings.batch} that each of {processes} processes has"
            )
    gpus = torch.cuda.device_count()
    if machines == 1 and 0 < gpus < each:
        raise UserError(f"{configuration.name} is for {each} GPUs, and this machine has {gpus}; set num_processes")


def launch(
    configuration: Path, run: Run, number: int, part: Part, progress: Progress, cluster: Cluster | None = None
) -> None:
    """Train the policy or the PPM of a round as an accelerate configuration says; it goes on where it stopped.

    Raises:
        UserError: the training failed; its last line says why. Or there is no cluster for several machines.
    """
    listener = Listener(progress)
    if machines_of(configuration)[0] == 1:
        with closing(training(str(configuration), (), str(run.path), number, part)) as lines:
            for line in lines:
                listener.hear(line)
    elif cluster:
        cluster.train(configuration, run, number, part, listener)
    if listener.failed:
        raise UserError(f"training with {configuration} failed: {listener.reason}")


def training(configuration: str, place: Iterable[str], run: str, number: int, part: Part) -> Generator[str, None, None]:
    """The lines of `accelerate launch`, which is ended when nobody reads on; the last one tells of a failure."""
    command = [
        sys.executable,
        "-P",
        "-m",
        "accelerate.commands.accelerate_cli",
        "launch",
        "--config_file",
        configuration,
    ]
    command += [*place, "-m", "rstar_mini.cluster.train", run, str(number), part]
    # Nothing is imported from the current folder, and what needs no network is not open to it.
    own = {"PYTHONSAFEPATH": "1"} | ({} if place or sys.platform != "linux" else {"GLOO_SOCKET_IFNAME": "lo"})
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=subprocess.STDOUT, text=True, env=os.environ | own) as process:
        assert process.stdout
        try:
            for line in process.stdout:
                yield line.strip()
        except BaseException:
            for one in [*psutil.Process(process.pid).children(recursive=True), process]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.terminate()
            raise
    if process.returncode:
        yield line_of(FAILED)


def training_there(
    configuration: str, machine: int, meeting: str, owner_id: str, run: str, number: int, part: Part
) -> Iterator[str]:
    """The same on one of several machines; all meet at host:port `meeting`, where the first one is."""
    if owner(Path(run)).get("id") != owner_id:
        yield line_of(WRONG, f"{socket.gethostname()} does not see the run in {run}; mount it on all machines")
        yield line_of(FAILED)
        return
    host, _, port = meeting.rpartition(":")
    place = ("--machine_rank", str(machine), "--main_process_ip", host, "--main_process_port", port)
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(configuration)
        file.flush()
        yield from training(file.name, place, run, number, part)


def meeting_point() -> str:
    """host:port of this machine for others to meet at."""
    from ray.util import get_node_ip_address

    with socket.socket() as free:
        free.bind(("", 0))
        return f"{get_node_ip_address()}:{free.getsockname()[1]}"


def main(argv: Sequence[str] | None = None) -> None:
    """What each of the processes does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("number", type=int)
    parser.add_argument("part", choices=["policy", "ppm"])
    asked = parser.parse_args(argv)

    from rstar_mini.evolution.learning import Learner
    from rstar_mini.evolution.models import Models
    from rstar_mini.evolution.problems import gather
    from rstar_mini.training import is_first

    run = Run.load(asked.run)
    run.written_for = owner(asked.run).get("id", "")
    torch.set_num_threads(run.recipe.threads)
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    problems = [*gather(run.recipe).training, *run.synthesized()]
    try:
        learner = Learner(run, Models(run.recipe, run.path), problems, Told() if is_first() else Silent())
        learner.learn(asked.number, asked.part)
    except UserError as error:
        tell(WRONG, str(error))
        raise SystemExit(2) from error


if __name__ == "__main__":
    main()
