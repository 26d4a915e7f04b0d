"""Recipes: everything that decides a run, in one YAML file that is checked before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from rstar_mini.files import inside
from rstar_mini.redact import public_url

Count = Annotated[int, Field(ge=0)]


def _expanded(name: object) -> object:
    """A path that begins with ~ in full; a shell does not do so in `--set problems.path=~/mine.jsonl`."""
    if isinstance(name, str) and name.startswith("~"):
        try:
            return str(Path(name).expanduser())
        except RuntimeError as error:
            raise ValueError(f"{name}: {error} Write the path in full") from error
    return name


Named = Annotated[str, BeforeValidator(_expanded)]
"""A path, or a name."""


class Section(BaseModel):
    """A part of a recipe: immutable, and strict about unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Problems(Section):
    """Which problems the rounds search."""

    path: Named = Field(
        "generated",
        description="'generated', 'puzzles', a known set such as gsm8k (rstar_mini/problems/sets.py), a JSONL file "
        "with question and answer, or a Hub data set; a file may end in .json or .parquet, too",
    )
    split: str = Field("train", description="split of a generated, known or Hub data set")
    limit: PositiveInt | None = Field(None, description="use the first so many problems")
    families: list[str] | None = Field(
        None, description="only these families: kinds of generated problems, subjects of MATH, sources of NuminaMath"
    )
    levels: list[PositiveInt] | None = Field(None, description="only these levels; a difficulty of 4.5 is level 4")
    decontaminate: list[Named] = Field(
        [],
        description="test sets, as math500, gsm8k:test (test is the default) or a JSONL file; problems that stand in "
        "one of them are left out, and in any case those of the evaluation set",
    )
    decontaminate_by: Literal["words", "text"] = Field(
        "words",
        description="what counts as the same problem: the same text or 13 words in a row, or 'text', the same text "
        "alone, for problems made from templates",
    )


class Synthesis(Section):
    """New problems, made before round 1 by the model that searches in it and labelled by agreement (section 3.4.1)."""

    limit: PositiveInt | None = Field(None, description="rewrite the first so many problems; default: all")
    per_problem: PositiveInt = Field(1, description="new problems asked for, for each of these")
    max_tokens: PositiveInt = Field(256, description="a new problem that has not ended by then is dropped")
    samples: PositiveInt = Field(10, description="solutions sampled of each new problem")
    agree: PositiveInt = Field(3, description="it is kept when at least so many of them have the same final answer")
    temperature: float = Field(1.0, gt=0, description="sampling temperature of new problems and their solutions")

    @model_validator(mode="after")
    def _so_many_can_agree(self) -> Self:
        if self.agree > self.samples:
            raise ValueError(f"agree {self.agree} is more than samples {self.samples}")
        return self


class PolicySettings(Section):
    """The language model that writes steps."""

    base: Named = Field(
        "tiny",
        description="'tiny' (shipped), 'smol' (see rstar-mini fetch), a folder, or a Hub name; README says of which "
        'architectures ("Architectures")',
    )
    prompt: Literal["plain", "paper", "chat"] = Field(
        "plain", description="template of the prompt; 'chat' is the one that comes with the model"
    )
    shots: int = Field(
        0, ge=0, le=8, description="worked examples shown to the base policy, before it has learnt the format"
    )
    max_step_tokens: PositiveInt = Field(48, description="a step that has not ended by then is dropped")
    batch_rows: PositiveInt | None = Field(
        None,
        description="most candidates decoded together; default: 2048, or as many as the memory for them holds. "
        "Of a server, at most 256 are asked for at once",
    )
    cache_mb: PositiveInt | None = Field(
        None,
        description="megabytes for the keys and values of the trees, for policy and PPM each; what is too much is read "
        "again when it is wanted. Texts that are being written have twice as much. Default: a fifth of the memory that "
        "is free at the start",
    )
    dtype: Literal["fp32", "bf16", "fp16"] = Field(
        "fp32",
        description="precision of search, and of the frozen base under adapters; what is trained is fp32. "
        "bf16 becomes fp16 on a GPU without it",
    )
    tuning: Literal["full", "lora", "qlora"] = Field(
        "full",
        description="what policy and PPM train: all weights, LoRA adapters on all linear layers, or such adapters on a "
        "base in 4 bits (NF4)",
    )
    lora_rank: PositiveInt = Field(16, description="rank of the adapters")
    adapters: Literal["merged", "switched"] | None = Field(
        None,
        description="how search uses the adapters: 'merged' into a copy of the base each for policy and PPM, which is "
        "faster, or 'switched' on one base; default: merged where the free memory holds the copies. 4 bits: switched",
    )
    engine: Literal["transformers", "vllm", "endpoint"] = Field(
        "transformers",
        description="what runs the policy; 'endpoint': a teacher behind an OpenAI-compatible completions server makes "
        "the data of round 1, and all else, later rounds and evaluation, is the run's own policy in transformers",
    )
    url: str | None = Field(
        None,
        pattern="^https?://",
        description="address of the endpoint, such as http://localhost:8000/v1 (the key: OPENAI_API_KEY)",
    )
    served_model: str | None = Field(None, description="name of the endpoint's model")

    @model_validator(mode="after")
    def _endpoint_has_an_address(self) -> Self:
        given = [self.url is not None, self.served_model is not None]
        if self.engine == "endpoint" and not all(given):
            raise ValueError("engine 'endpoint' needs url and served_model")
        if self.engine != "endpoint" and any(given):
            raise ValueError("url and served_model are for engine 'endpoint' alone")
        return self

    @model_validator(mode="after")
    def _four_bits_are_switched(self) -> Self:
        if self.adapters and self.tuning == "full":
            raise ValueError("adapters is for tuning lora and qlora alone")
        if self.adapters == "merged" and self.tuning == "qlora":
            raise ValueError("adapters cannot be merged into 4-bit weights without loss; leave adapters out")
        return self


class SandboxSettings(Section):
    """Limits of one model-written program."""

    cpu_seconds: PositiveFloat = Field(2.0, description="CPU time of one program")
    memory_mb: PositiveInt = Field(512, description="address space of one program, in MiB")
    output_chars: PositiveInt = Field(10_000, description="output after which a program is stopped")
    require_isolation: Literal["kernel", "process", "any"] = Field(
        "any", description="refuse to run where programs are kept apart less well (rstar_mini/sandbox/README.md)"
    )


class Search(Section):
    """What all searches share (App. A.1)."""

    depth: PositiveInt = Field(16, description="most steps of a trajectory")
    c: float = Field(2.0, ge=0, description="exploration constant of UCT (Eq. 1)")
    temperature: float = Field(1.0, gt=0, description="sampling temperature")
    shard: PositiveInt = Field(128, description="problems searched together; the unit of work and of resuming")
    unvisited_first: bool = Field(True, description="false: the released code's rule, an unvisited child scores 0")


class Round(Section):
    """The search budget of one round (section 3.4)."""

    annotation: Literal["terminal", "ppm"] = Field(
        description="terminal-guided (Eq. 2) or PPM-augmented (Eq. 3) Q-values"
    )
    candidates: PositiveInt = Field(8, description="steps sampled at each node")
    rollouts: PositiveInt = Field(16, description="rollouts for each problem")
    extra_rollouts: Count = Field(0, description="added once when no rollout was right")
    unsolved_rollouts: list[PositiveInt] = Field(
        [], description="further rollouts for problems still unsolved, one stage after the other"
    )
    new_seeds: Count = Field(0, description="after these, new trees with other seeds for problems still unsolved")


class Training(Section):
    """One training run."""

    epochs: PositiveFloat = Field(2, description="passes over the data")
    batch: PositiveInt = Field(64, description="sequences (SFT) or pairs (PPM) an optimiser step")
    micro_batch: PositiveInt | None = Field(
        None, description="sequences held in memory at once; default: the whole batch"
    )
    lr: PositiveFloat = Field(1e-3, description="peak learning rate")
    warmup: Count = Field(10, description="steps of linear warm-up")
    schedule: Literal["linear", "cosine", "constant_with_warmup"] = Field(
        "linear", description="learning-rate schedule"
    )
    weight_decay: float = Field(0.1, ge=0, description="AdamW's weight decay")
    recompute: bool = Field(
        False, description="activations are computed again in the backward pass instead of kept: slower, less memory"
    )
    checkpoint_seconds: float = Field(
        60, ge=0, description="a training that was cut off goes on from the last step saved, at most so long ago"
    )

    @model_validator(mode="after")
    def _even(self) -> Self:
        if self.micro_batch and self.batch % min(self.micro_batch, self.batch):
            raise ValueError(f"micro_batch {self.micro_batch} must divide batch {self.batch}")
        return self


class Sft(Training):
    """Fine-tuning the policy from the base model each round (section 3.2)."""

    per_problem: PositiveInt = Field(2, description="correct trajectories of highest mean Q kept for each problem")
    renumbered: NonNegativeInt = Field(
        0, description="times that each of them is learnt again with other numbers in question and code; the paper 0"
    )
    mask_output: bool = Field(True, description="take no loss on the interpreter's output")


class Ppm(Training):
    """Training the process preference model from the round's policy (section 3.3)."""

    per_side: PositiveInt = Field(2, description="steps of highest and of lowest Q compared under a prefix")
    margin: float = Field(0.0, ge=0, description="least difference in Q of a pair")
    validation: float = Field(
        0.1, ge=0, le=0.5, description="share of the problems whose pairs are held out to measure accuracy"
    )


class Evaluation(Section):
    """Held-out evaluation at the end of each round."""

    path: Named = Field("generated", description="as problems.path")
    split: str = Field("test", description="as problems.split")
    limit: PositiveInt | None = Field(200, description="held-out problems evaluated after each round")
    candidates: PositiveInt = Field(8, description="steps sampled at each node (the paper uses 32)")
    rollouts: PositiveInt = Field(8, description="rollouts of one test-time tree")
    trajectories: PositiveInt = Field(1, description="test-time trees; each gives one trajectory (section 4.1)")
    greedy_only: list[PositiveInt] = Field(
        [], description="rounds after which greedy decoding alone is measured, where vote and search are dear"
    )
    c: float = Field(2.0, ge=0, description="UCT's exploration constant at test time")
    selection: Literal["ppm", "vote", "ppm-weighted vote"] = Field(
        "ppm", description="how the final answer is chosen, in a tree and among trees"
    )


class Allowance(Section):
    """What a whole run is meant to cost; the run says so when it needs more."""

    tokens: PositiveInt = Field(description="tokens sampled in search, synthesis and evaluation")
    training_steps: PositiveInt = Field(description="optimiser steps of all policies and PPMs")
    programs: PositiveInt = Field(description="distinct programs run in the sandbox")


class Recipe(Section):
    """A whole run: what it searches, with which models, for how many rounds, and how it is measured."""

    name: str = Field(description="name of the recipe; the run directory is runs/NAME unless --run says otherwise")
    description: str = Field("", description="one line for people")
    seed: int = Field(0, description="seed of everything random")
    threads: PositiveInt = Field(2, description="CPU threads; part of what makes a run reproducible to the byte")
    method: Literal["mcts", "rejection"] = Field(
        "mcts", description="'rejection' samples whole solutions instead of searching"
    )
    problems: Problems = Problems()
    synthesis: Synthesis | None = Field(None, description="new problems beside those; default: none")
    policy: PolicySettings = PolicySettings()
    sandbox: SandboxSettings = SandboxSettings()
    search: Search = Search()
    budget: Allowance | None = Field(None, description="declared cost of the whole run")
    rounds: list[Round] = Field(min_length=1, description="the rounds of self-evolution")
    sft: Sft = Sft()
    ppm: Ppm = Ppm()
    evaluation: Evaluation = Evaluation()

    @property
    def default_run(self) -> Path:
        """The folder runs/NAME.

        Raises:
            UserError: the name would lead elsewhere.
        """
        return inside(Path("runs"), self.name)

    def stored(self) -> Self:
        """As it is kept in a run and shown: a URL without its password and query, which only this user may know."""
        if not self.policy.url:
            return self
        policy = self.policy.model_copy(update={"url": public_url(self.policy.url)})
        return self.model_copy(update={"policy": policy})
