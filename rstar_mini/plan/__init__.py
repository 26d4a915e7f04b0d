"""`rstar-mini plan`: what a recipe will take of a machine, before anything is downloaded or started.

Peak memory follows formulas calibrated on measured peaks (`memory`). Tokens and hours are rough: they hang on how long
a policy's steps are and how soon its trees are solved, so they may be wrong several times over. On several GPUs, search
is taken to share its shards without loss, adapters to be trained data-parallel, and full fine-tuning to be spread.
Held-out evaluation is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rstar_mini.plan.machine import Machine
    from rstar_mini.plan.memory import Step
    from rstar_mini.plan.shape import Shape
    from rstar_mini.recipes import Recipe
    from rstar_mini.recipes.schema import Round, Training

TEXT = 512  # tokens of a problem with its solution
OPENED, OF_LIMIT = 2, 0.5  # nodes that a rollout opens; length of a step over the limit, where that is short
# Tokens of a step: by the paper's table 9, a trajectory of 32 candidates a node takes 3,299 to 15,693, which with five
# steps is 21 to 98 for each candidate, 52 in the mean of its seven benchmarks.
STEP = 52
# Of one decoding step, by layer and by row: measured on an H200, where starting kernels is what counts.
LAYER_SECONDS, ROW_SECONDS = 0.8e-3, 8e-6
QUESTION, STEPS = 120, 5  # tokens of a problem, and steps of its solution
CHARACTERS = 3  # of worked examples, to a token
OF_PROCESSORS = 0.6
# Of a machine's products in 16 bits, in training: measured on an H200 in 4 bits, supposed else (full is TF32).
UTILISATION = {"full": 0.12, "lora": 0.15, "qlora": 0.05}
UNSOLVED = 0.3  # of the problems, which get more rollouts and new seeds
VLLM_ROWS = 256  # its own default, with keys and values in pages


@dataclass(frozen=True, slots=True)
class Need:
    """A step of a round with its peak in GB; `advice` says what to change where that is too much, else ""."""

    what: str
    peak_gb: float
    advice: str


@dataclass(frozen=True, slots=True)
class Cost:
    """A round in rough figures: tokens sampled in search, tokens read in training, and hours of one GPU."""

    number: int
    sampled: float
    trained: float
    gpu_hours: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What a recipe needs on `gpus` in `nodes` machines; sizes in GB (10^9 bytes), memory of each GPU."""

    recipe: str
    machine: str
    gpus: int
    nodes: int
    usable_gb: float
    numbers: int
    download_gb: float
    disk_gb: float
    needs: tuple[Need, ...]
    costs: tuple[Cost, ...]
    warning: str = ""

    @property
    def fits(self) -> bool:
        """Whether nothing has to be changed."""
        return not any(need.advice for need in self.needs)


def plan(recipe: Recipe, gpu: str, gpus: int = 1) -> Plan:
    """Plan a recipe for a machine, or for several GPUs.

    Raises:
        UserError: no such machine, or the base model's configuration cannot be read.
    """
    from rstar_mini.plan.machine import machine
    from rstar_mini.plan.shape import shape

    base, where = shape(recipe.policy.base), machine(gpu)
    tuning = recipe.policy.tuning
    per_round = 2 * (4.0 * base.adapters(recipe.policy.lora_rank) if tuning != "full" else 4.0 * base.numbers)
    download = 0.0 if recipe.policy.base == "tiny" else 2.0 * base.numbers
    rounds = len(recipe.rounds)
    return Plan(
        recipe.name,
        where.name,
        gpus,
        -(-gpus // where.per_node),
        where.usable_gb,
        base.numbers,
        download / 1e9,
        (download + rounds * 2 * per_round) / 1e9,  # the second half: checkpoints while a training is at work
        needs(recipe, base, where, gpus),
        tuple(_cost(recipe, number, base, where) for number in range(1, rounds + 1)),
        length_warning(recipe, base),
    )


def length_warning(recipe: Recipe, base: Shape) -> str:
    """What to say when a usual solution has more tokens than the base has positions, else ""."""
    from rstar_mini.prompts import DEMONSTRATIONS

    shown = sum(len(question) + len(solution) for question, solution in DEMONSTRATIONS[: recipe.policy.shots])
    text = shown // CHARACTERS + QUESTION + STEPS * recipe.policy.max_step_tokens
    if base.positions is None or text <= base.positions:
        return ""
    return (
        f"a solution of {STEPS} steps may take {text:,} tokens, and '{recipe.policy.base}' has positions for "
        f"{base.positions:,}: longer branches end there; lower policy.max_step_tokens or policy.shots"
    )


def needs(recipe: Recipe, base: Shape, where: Machine, gpus: int = 1) -> tuple[Need, ...]:
    """What search, SFT and PPM training take of each GPU at most."""
    return (
        _search_need(recipe, base, where),
        _training_need(recipe, "sft", base, where, gpus),
        _training_need(recipe, "ppm", base, where, gpus),
    )


def _search_need(recipe: Recipe, base: Shape, where: Machine) -> Need:
    """With the caches and the pages that a run chooses when the recipe leaves them open."""
    from rstar_mini.plan.memory import Load, search_peak
    from rstar_mini.policy.memory import TABLE_BYTES
    from rstar_mini.policy.sampling import LOGIT_BYTES

    policy, copies = recipe.policy, _copies(recipe)
    weights = copies * base.weights(policy.tuning, 2) / 1e9
    cache = _cache_tokens(recipe, base, where)
    rows = min(_rows(recipe, base, where), TABLE_BYTES // (LOGIT_BYTES * base.vocab))
    load = Load(copies, 2 * cache, rows, columns=2 * cache, read=2 * max(512, cache // 4))
    peak = search_peak(base, policy.tuning, policy.lora_rank, load) / 1e9
    return Need("search", peak, "" if peak <= where.usable_gb else _search_advice(recipe, weights, where))


def _cache_tokens(recipe: Recipe, base: Shape, where: Machine) -> int:
    """Tokens whose keys and values the cache of a model holds; the texts at work may have twice as many."""
    from rstar_mini.evolution.capacity import CACHE_SHARE

    policy = recipe.policy
    free = max(0.0, 1e9 * where.usable_gb - _copies(recipe) * base.weights(policy.tuning, 2))
    return int((2**20 * policy.cache_mb if policy.cache_mb else CACHE_SHARE * free) / (2 * base.kept))


def _copies(recipe: Recipe) -> int:
    """How often the weights are in memory while policy and PPM search."""
    return 1 if recipe.policy.tuning == "qlora" or recipe.policy.adapters == "switched" else 2


def _rows(recipe: Recipe, base: Shape, where: Machine) -> int:
    """How many candidates are decoded together: those of all nodes whose texts fit."""
    from rstar_mini.evolution.capacity import MOST_ROWS

    policy = recipe.policy
    siblings = max(each.candidates for each in recipe.rounds)
    node = TEXT + siblings * min(STEP, OF_LIMIT * policy.max_step_tokens)
    fit = siblings * max(1, int(2 * _cache_tokens(recipe, base, where) / node))
    return min(policy.batch_rows or MOST_ROWS, fit)


def _search_advice(recipe: Recipe, weights: float, where: Machine) -> str:
    if weights > 0.8 * where.usable_gb:
        if recipe.policy.tuning == "full":
            return "policy.tuning=lora holds the base once"
        return "policy.tuning=qlora" if recipe.policy.tuning == "lora" else "a larger GPU"
    return "a smaller policy.batch_rows or policy.cache_mb, or leave both out"


def _training_need(recipe: Recipe, part: str, base: Shape, where: Machine, gpus: int) -> Need:
    from rstar_mini.plan.memory import training_peak

    settings: Training = getattr(recipe, part)

    def peak_of(settings: Training) -> float:
        return training_peak(base, _step(recipe, settings, part), gpus) / 1e9

    peak = peak_of(settings)
    what = {"sft": "SFT", "ppm": "PPM training"}[part]
    if peak <= where.usable_gb:
        return Need(what, peak, "")
    ways: tuple[dict[str, Any], ...] = ({"recompute": True}, {"micro_batch": 1}, {"recompute": True, "micro_batch": 1})
    for way in ways:
        if peak_of(settings.model_copy(update=way)) <= where.usable_gb:
            return Need(what, peak, " ".join(f"{part}.{key}={str(value).lower()}" for key, value in way.items()))
    smaller = {"full": "more GPUs, or policy.tuning=lora", "lora": "policy.tuning=qlora", "qlora": "a larger GPU"}
    return Need(what, peak, smaller[recipe.policy.tuning])


def _step(recipe: Recipe, settings: Training, part: str) -> Step:
    from rstar_mini.plan.memory import Step

    micro = min(settings.micro_batch or settings.batch, settings.batch)
    tokens = micro * TEXT
    labelled = tokens // 2 if part == "sft" else 0
    return Step(recipe.policy.tuning, recipe.policy.lora_rank, tokens, labelled, settings.recompute)


def _cost(recipe: Recipe, number: int, base: Shape, where: Machine) -> Cost:
    settings: Round = recipe.rounds[number - 1]
    problems = recipe.problems.limit or 10_000
    more = (
        sum(settings.unsolved_rollouts) + settings.new_seeds * (settings.unsolved_rollouts or [settings.rollouts])[-1]
    )
    rollouts = settings.rollouts + settings.extra_rollouts / 2 + UNSOLVED * more
    step = min(STEP, OF_LIMIT * recipe.policy.max_step_tokens)
    sampled = problems * rollouts * OPENED * settings.candidates * step
    learnt = recipe.sft.per_problem * (1 + recipe.sft.renumbered) * recipe.sft.epochs
    trained = problems * (QUESTION + STEPS * step) * (learnt + recipe.ppm.per_side**2 * recipe.ppm.epochs)
    rows = VLLM_ROWS if recipe.policy.engine == "vllm" else _rows(recipe, base, where)
    flops = 1e12 * where.tflops
    seconds = base.layers * LAYER_SECONDS + rows * (ROW_SECONDS + 2 * base.linear / (0.4 * flops))
    used = OF_PROCESSORS if where.name == "cpu" else UTILISATION[recipe.policy.tuning]
    training = trained * 6 * base.linear / (used * flops)
    return Cost(number, sampled, trained, (sampled / rows * seconds * 1.5 + training) / 3600)
