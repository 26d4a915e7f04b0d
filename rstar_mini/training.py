"""What the two trainings (policy and PPM) share: TRL's trainers, quiet, reproducible, resumable, with our progress."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from datasets import Dataset
from peft import PeftModel
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.tensor import DTensor
from torch.utils.data import Sampler
from transformers import PreTrainedModel, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import PrinterCallback
from transformers.trainer_pt_utils import LengthGroupedSampler
from transformers.utils import logging

from rstar_mini.bases import last_position
from rstar_mini.errors import UserError
from rstar_mini.files import remove, sync_tree, told_when_full, write_bytes
from rstar_mini.progress import Progress
from rstar_mini.recipes.schema import Training

AnyModel = PreTrainedModel | PeftModel
"""A model, with LoRA adapters or without."""


_WHOLE = "whole"  # the file that says that a checkpoint was written to its end


def devices() -> int:
    """Over how many processes torchrun or accelerate has spread this training; each has a device."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def dataset(rows: Sequence[dict[str, Any]], filler: dict[str, Any]) -> Dataset:
    """Rows for a trainer, and after them, where devices share a step, a row that costs nothing.

    It fills up the last batches: else accelerate would take the first sequences a second time.
    """
    return Dataset.from_list([*rows, filler] if devices() > 1 else list(rows))


def is_first() -> bool:
    """False in the other processes of a training that torchrun or accelerate has spread: the first one writes."""
    return os.environ.get("RANK", "0") == "0"


class EpochSampler(Sampler[int]):
    """Sequences of like length together, in an order that depends on the seed and the epoch alone.

    Transformers' own order hangs on all random numbers drawn before, which a resumed training has not drawn. At the end
    comes the filler, until all devices have batches of `whole` sequences together.
    """

    def __init__(self, sampler: LengthGroupedSampler, seed: int, whole: int = 1) -> None:
        self.sampler, self.seed = sampler, seed
        self.missing = -len(sampler) % whole
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Take the order of an epoch."""
        self.sampler.generator = torch.Generator().manual_seed(1_000_003 * self.seed + epoch)

    def __iter__(self) -> Iterator[int]:
        yield from self.sampler
        yield from [len(self.sampler)] * self.missing  # the filler's place

    def __len__(self) -> int:
        return len(self.sampler) + self.missing


@contextmanager
def called(model: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Inside, to call the model, also by way of what spreads it over devices and wraps it, is to call `forward`."""
    before = vars(model).get("forward")
    model.forward = forward
    try:
        yield
    finally:
        del model.forward
        if before:
            model.forward = before


def whole_weights(model: AnyModel) -> dict[str, Any] | None:
    """The weights of a model that FSDP has spread over devices, or of its adapters, gathered on the first process.

    None where every device has the whole model. All processes must call it together.
    """
    if not any(isinstance(parameter, DTensor) for parameter in model.parameters()):
        return None
    own = {name for name, _ in (*model.named_parameters(), *model.named_buffers())}  # a tied weight under one name
    adapters = isinstance(model, PeftModel)
    how = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=adapters)
    return {name: weight for name, weight in get_model_state_dict(model, options=how).items() if name in own}


class Resumable(Trainer):
    """A trainer whose order of data can be taken up again in the middle; put it before TRL's trainer.

    On several devices it takes the same steps as on one: the same sequences in the same order, and one mean over all
    of a step, whatever share of it a device has. Subclasses say what a batch costs in `summed_loss`, and what the sum
    is divided by in `counted`.
    """

    def summed_loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        """The loss of a batch, added up over its items. `model` is an AnyModel."""
        raise NotImplementedError

    def counted(self, inputs: dict[str, Any]) -> Tensor:
        """How many items a batch has, a scalar."""
        raise NotImplementedError

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> Any:
        """The items of all micro-batches of a step, on all devices."""
        own = torch.stack([self.counted(batch).float() for batch in batch_samples]).sum().to(device)
        return self.accelerator.gather(own).sum()

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The part that one micro-batch has in the mean over its step; there are no outputs to return."""
        inner = self.accelerator.unwrap_model(model)
        with called(inner, partial(self.summed_loss, inner)):
            loss = model(inputs) / num_items_in_batch
        loss *= self.accelerator.num_processes  # the mean over devices is what is learnt from
        return (loss, None) if return_outputs else loss

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        sampler = super()._get_train_sampler(train_dataset)
        assert isinstance(sampler, LengthGroupedSampler)  # trainer_settings ask for it
        if devices() == 1:
            return EpochSampler(sampler, self.args.seed)
        sampler.batch_size *= devices()
        sampler.lengths = sampler.lengths[:-1]  # without the filler
        return EpochSampler(sampler, self.args.seed, devices() * self.args.train_batch_size)


class CheckpointCallback(TrainerCallback):
    """Asks for a checkpoint every so many seconds, and marks those that are whole."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.last = seconds, time.monotonic()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """After each optimiser step."""
        due = time.monotonic() - self.last >= self.seconds
        if dist.is_initialized():  # all save at the same step: when the first says so
            said = torch.tensor(int(due), device=args.device)
            dist.broadcast(said, 0)
            due = bool(said)
        control.should_save = due

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Bring the checkpoint to the disk, then mark it."""
        if dist.is_initialized():
            dist.barrier()
        if is_first():
            folder = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
            sync_tree(folder)
            write_bytes(folder / _WHOLE, b"")
        self.last = time.monotonic()


def last_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint; what is not whole is removed."""
    whole = []
    for path in folder.glob("checkpoint-*"):
        if (path / _WHOLE).exists():
            whole.append(path)
        elif is_first():
            remove(path)
    return max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


class ProgressCallback(TrainerCallback):
    """Tells `progress` of every optimiser step, and stops at once when the loss is not a number."""

    def __init__(self, progress: Progress, name: str) -> None:
        self.progress, self.name = progress, name

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """A new stage, one unit a step."""
        self.progress.stage(self.name, state.max_steps)
        self.progress.advance(state.global_step)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """One unit done."""
        self.progress.advance()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Raises UserError when the loss is NaN."""
        if logs and logs.get("loss", 0.0) != logs.get("loss", 0.0):
            raise UserError(
                f"{self.name}: the loss is not a number at step {state.global_step}; lower lr in the recipe"
            )


def trainer_settings(settings: Training, seed: int, model: AnyModel) -> dict[str, Any]:
    """Keyword arguments of TRL's configuration classes for one training run.

    Not mixed precision: a frozen base computes in its own, and what is trained is fp32. Only gradients that pass
    through an fp16 base need the trainer, which scales the loss so that small ones do not vanish. On 4 bits every
    gigabyte counts, so there the optimiser's state is in 8 bits, and moves to the main memory when need be.
    """
    four_bits = bool(getattr(model, "is_loaded_in_4bit", False))
    share = max(1, settings.batch // devices())
    micro = min(settings.micro_batch or share, share)
    return {
        "num_train_epochs": settings.epochs,
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": max(1, share // micro),
        "learning_rate": settings.lr,
        "warmup_steps": settings.warmup,
        "lr_scheduler_type": settings.schedule,
        "weight_decay": settings.weight_decay,
        "seed": seed,
        "data_seed": seed,
        "max_length": None,
        "bf16": False,
        "fp16": model.dtype == torch.float16 and torch.cuda.is_available(),
        # Products of fp32 on tensor cores, several times as fast, where there are such.
        "tf32": True if torch.cuda.is_available() and torch.cuda.get_device_capability() >= (8, 0) else None,
        "optim": "paged_adamw_8bit" if four_bits and torch.cuda.is_available() else "adamw_torch_fused",
        "activation_checkpointing": settings.recompute,
        "activation_checkpointing_kwargs": {"use_reentrant": False} if settings.recompute else None,
        "train_sampling_strategy": "group_by_length",
        "save_strategy": "no",
        "save_total_limit": 2,
        "report_to": "none",
        "disable_tqdm": True,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "dataloader_pin_memory": False,
        "dataset_num_proc": None,
        "use_cpu": not torch.cuda.is_available(),
    }


def fits(model: AnyModel, length: int) -> bool:
    """Whether the model has positions for a text of so many tokens."""
    most = last_position(model.config)
    return most is None or length <= most


def short_enough(rows: list[dict[str, Any]], model: AnyModel, name: str, progress: Progress) -> list[dict[str, Any]]:
    """The rows that the model has positions for: an endpoint, or another encoding, may have made longer texts.

    Raises:
        UserError: there is none.
    """
    fitting = [row for row in rows if all(fits(model, len(part)) for part in row.values() if isinstance(part, list))]
    if left_out := len(rows) - len(fitting):
        progress.say(f"{name}: {left_out} of {len(rows)} texts are left out, longer than the model's positions")
        if not fitting:
            raise UserError(f"{name}: every text is longer than the model's positions; choose another policy.base")
    return fitting


def run_trainer(trainer: Trainer, progress: Progress, name: str, checkpoint_seconds: float) -> list[dict[str, float]]:
    """Train, going on from the last checkpoint; return the log rows that carry a loss (timings left out)."""
    trainer.loss_is_scaled_for_ga = True  # the parts of micro-batches are added up, not averaged
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(ProgressCallback(progress, name))
    trainer.add_callback(CheckpointCallback(checkpoint_seconds))
    model: AnyModel = trainer.model  # type: ignore[assignment]  # None is for model_init, which is never used here
    for parameter in model.parameters():
        if parameter.requires_grad:  # TRL turns adapters on a 4-bit base into bf16, in which small steps are lost
            parameter.data = parameter.data.float()
    checkpoint = last_checkpoint(Path(str(trainer.args.output_dir)))
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # else every resuming warns of tied weights, which are not in checkpoints
    try:
        with told_when_full():
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    finally:
        logging.set_verbosity(verbosity)
        model.activation_checkpointing_disable()  # else the next training on this base would recompute too
    if not all(parameter.isfinite().all() for parameter in model.eval().parameters() if parameter.requires_grad):
        raise UserError(f"{name}: the weights are not numbers after step {trainer.state.global_step}; lower lr")
    return [
        {key: round(row[key], 6) for key in ("step", "loss", "accuracy") if key in row}
        for row in trainer.state.log_history
        if "loss" in row
    ]
