"""What the two trainings (policy and PPM) share: TRL's trainers, quiet, reproducible, and with our progress."""

from __future__ import annotations

from typing import Any

import torch
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from transformers import PreTrainedModel, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from rstar_mini.errors import UserError
from rstar_mini.progress import Progress
from rstar_mini.recipes.schema import Training

AnyModel = PreTrainedModel | PeftModel
"""A model, with LoRA adapters or without."""


class ProgressCallback(TrainerCallback):
    """Tells `progress` of every optimiser step, and stops at once when the loss is not a number."""

    def __init__(self, progress: Progress, name: str) -> None:
        self.progress, self.name = progress, name

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """A new stage, one unit a step."""
        self.progress.stage(self.name, state.max_steps)

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


def trainer_settings(settings: Training, seed: int) -> dict[str, Any]:
    """Keyword arguments of TRL's configuration classes for one training run."""
    micro = min(settings.micro_batch or settings.batch, settings.batch)
    return {
        "num_train_epochs": settings.epochs,
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": max(1, settings.batch // micro),
        "learning_rate": settings.lr,
        "warmup_steps": settings.warmup,
        "lr_scheduler_type": settings.schedule,
        "weight_decay": settings.weight_decay,
        "seed": seed,
        "data_seed": seed,
        "max_length": None,
        "bf16": False,
        "activation_checkpointing": False,
        "train_sampling_strategy": "group_by_length",
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "logging_steps": 1,
        "dataloader_pin_memory": False,
        "dataset_num_proc": None,
        "use_cpu": not torch.cuda.is_available(),
    }


def with_adapters(model: PreTrainedModel, settings: Training, task: TaskType) -> AnyModel:
    """The model itself, or wrapped in LoRA adapters on all its linear layers."""
    if settings.tuning == "full":
        return model
    config = LoraConfig(
        task_type=task, r=settings.lora_rank, lora_alpha=2 * settings.lora_rank, target_modules="all-linear"
    )
    return get_peft_model(model, config)


def run_trainer(trainer: Trainer, progress: Progress, name: str) -> list[dict[str, float]]:
    """Train, and return the log rows that carry a loss (timings left out)."""
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(ProgressCallback(progress, name))
    trainer.train()
    trainer.model.eval().cpu()  # type: ignore[union-attr]  # None is there for model_init, which is never used here
    return [
        {key: round(value, 6) for key, value in row.items() if key in ("step", "loss", "accuracy")}
        for row in trainer.state.log_history
        if "loss" in row
    ]
