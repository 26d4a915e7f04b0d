"""`rstar-mini plan`: what a recipe will take of a machine, before anything is downloaded or started.

README.md in this folder says what is measured and what is a data-sheet figure. Peak memory follows calibrated formulas
(`memory`), hours follow tokens (`tokens`) and speed (`speed`). On several GPUs, search is taken to share its shards
without loss, adapters to be trained data-parallel, and full fine-tuning to be spread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rstar_mini.plan.machine import Machine
    from rstar_mini.plan.memory import Step
    from rstar_mini.plan.shape import Shape
    from rstar_mini.plan.speed import Setting
    from rstar_mini.recipes import Recipe
    from rstar_mini.recipes.schema import Training

TEXT = 512  # tokens of a problem with its solution, at most
VLLM_GAIN = 1.5  # times as fast as our own engine vLLM must be to be taken: its hours are not measured


@dataclass(frozen=True, slots=True)
class Need:
    """A step of a round with its peak in GB; `advice` says what to change where that is too much, else ""."""

    what: str
    peak_gb: float
    advice: str


@dataclass(frozen=True, slots=True)
class Cost:
    """A round in rough figures: tokens sampled, tokens trained on, and hours of one GPU for its three parts.

    Round 0 is the base's evaluation.
    """

    number: int
    sampled: float
    trained: float
    search: float
    training: float
    evaluation: float

    @property
    def gpu_hours(self) -> float:
        """All three."""
        return self.search + self.training + self.evaluation


@dataclass(frozen=True, slots=True)
class Plan:
    """What a recipe needs on `gpus` in `nodes` machines; sizes in GB (10^9 bytes), memory of each GPU.

    `base` is round 0, the base's evaluation. `costs` are the rounds with the recipe's engine, `engines` the GPU hours
    of the whole run with each engine that fits, of which `engine` is to be taken.
    """

    recipe: str
    machine: str
    gpus: int
    nodes: int
    usable_gb: float
    numbers: int
    download_gb: float
    disk_gb: float
    needs: tuple[Need, ...]
    base: Cost
    costs: tuple[Cost, ...]
    engines: dict[str, float]
    warning: str = ""

    @property
    def fits(self) -> bool:
        """Whether nothing has to be changed."""
        return not any(need.advice for need in self.needs)

    @property
    def gpu_hours(self) -> float:
        """Of the whole run with the recipe's engine."""
        return sum(cost.gpu_hours for cost in (self.base, *self.costs))

    @property
    def peak_gb(self) -> float:
        """The most memory that any step takes."""
        return max(need.peak_gb for need in self.needs)

    @property
    def engine(self) -> str:
        """vLLM where it fits and is much faster, else the package's own engine."""
        own, other = self.engines["transformers"], self.engines.get("vllm")
        return "vllm" if other is not None and VLLM_GAIN * other < own else "transformers"


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
    by_engine = {
        engine: [_cost(recipe, number, at) for number in range(len(recipe.rounds) + 1)]
        for engine, at in settings_of(recipe, base, where).items()
    }
    zero, *costs = by_engine.get(recipe.policy.engine, by_engine["transformers"])
    return Plan(
        recipe.name,
        where.name,
        gpus,
        -(-gpus // where.per_node),
        where.usable_gb,
        base.numbers,
        download / 1e9,
        (download + len(costs) * 2 * per_round) / 1e9,  # the second half: checkpoints while a training is at work
        needs(recipe, base, where, gpus),
        zero,
        tuple(costs),
        {engine: sum(cost.gpu_hours for cost in rows) for engine, rows in by_engine.items()},
        length_warning(recipe, base),
    )


def length_warning(recipe: Recipe, base: Shape) -> str:
    """What to say when a usual solution has more tokens than the base has positions, else ""."""
    from rstar_mini.plan.tokens import OF_PAPER, shown

    text = shown(recipe) + OF_PAPER.question + OF_PAPER.steps * recipe.policy.max_step_tokens
    if base.positions is None or text <= base.positions:
        return ""
    return (
        f"a solution of {OF_PAPER.steps} steps may take {text:,} tokens, and '{recipe.policy.base}' has positions for "
        f"{base.positions:,}: longer branches end there; lower policy.max_step_tokens or policy.shots"
    )


def needs(recipe: Recipe, base: Shape, where: Machine, gpus: int = 1) -> tuple[Need, ...]:
    """What search, SFT and PPM training take of each GPU at most."""
    return (
        _search_need(recipe, base, where),
        _training_need(recipe, "sft", base, where, gpus),
        _training_need(recipe, "ppm", base, where, gpus),
    )


def settings_of(recipe: Recipe, base: Shape, where: Machine) -> dict[str, Setting]:
    """What decides the speed of each engine that fits: our own always, vLLM where it has room for a few texts."""
    from rstar_mini.plan.speed import Setting

    cache, tuning = _cache_tokens(recipe, base, where), recipe.policy.tuning
    own = Setting(where, base, tuning, cache, _most_rows(recipe))
    pages = _vllm_tokens(recipe, base, where, cache)
    if where.name == "cpu" or pages < 4 * base_text(recipe):
        return {"transformers": own}
    return {"transformers": own, "vllm": Setting(where, base, tuning, cache, _most_rows(recipe), pages)}


def base_text(recipe: Recipe) -> float:
    """Tokens of the longest usual text: worked examples, problem and solution."""
    from rstar_mini.plan.tokens import lengths, shown

    return shown(recipe) + lengths(recipe).question + lengths(recipe).solution


def _vllm_tokens(recipe: Recipe, base: Shape, where: Machine, cache: int) -> int:
    """Tokens that vLLM has memory for, beside the PPM's weights, cache and tables in this process."""
    from rstar_mini.evolution.models import READING
    from rstar_mini.policy.memory import TABLE_BYTES

    weights = 2 * base.weights(recipe.policy.tuning, 2)  # the server's and the PPM's
    left = 1e9 * where.usable_gb - weights - READING * 2 * base.kept * cache - 2 * TABLE_BYTES
    return int(max(0.0, left) / (2 * base.kept))


def _search_need(recipe: Recipe, base: Shape, where: Machine) -> Need:
    """With the caches and the pages that a run chooses when the recipe leaves them open."""
    from rstar_mini.plan.memory import Load, search_peak
    from rstar_mini.policy.memory import TABLE_BYTES
    from rstar_mini.policy.sampling import LOGIT_BYTES

    policy, copies = recipe.policy, _copies(recipe, base, where)
    weights = copies * base.weights(policy.tuning, 2) / 1e9
    cache = _cache_tokens(recipe, base, where)
    rows = min(_rows(recipe, cache), TABLE_BYTES // (LOGIT_BYTES * base.vocab))
    load = Load(copies, 2 * cache, rows, columns=2 * cache, read=2 * max(512, cache // 4))
    peak = search_peak(base, policy.tuning, policy.lora_rank, load) / 1e9
    return Need("search", peak, "" if peak <= where.usable_gb else _search_advice(recipe, weights, where))


def _cache_tokens(recipe: Recipe, base: Shape, where: Machine) -> int:
    """Tokens whose keys and values the cache of a model holds; the texts at work may have twice as many."""
    from rstar_mini.evolution.capacity import CACHE_SHARE

    policy = recipe.policy
    free = max(0.0, 1e9 * where.usable_gb - _copies(recipe, base, where) * base.weights(policy.tuning, 2))
    return int((2**20 * policy.cache_mb if policy.cache_mb else CACHE_SHARE * free) / (2 * base.kept))


def _copies(recipe: Recipe, base: Shape, where: Machine) -> int:
    """How often the weights are in memory while policy and PPM search: as `capacity` decides."""
    from rstar_mini.evolution.capacity import CACHE_SHARE

    policy = recipe.policy
    if policy.tuning == "lora" and policy.adapters is None:
        return 2 if 2 * 4 * base.numbers < CACHE_SHARE * 1e9 * where.usable_gb else 1
    return 1 if policy.tuning == "qlora" or policy.adapters == "switched" else 2


def _most_rows(recipe: Recipe) -> int:
    from rstar_mini.evolution.capacity import MOST_ROWS

    return recipe.policy.batch_rows or MOST_ROWS


def _rows(recipe: Recipe, cache: int) -> int:
    """How many candidates are decoded together at most, in any round."""
    from rstar_mini.plan.speed import nodes_at_work
    from rstar_mini.plan.tokens import lengths
    from rstar_mini.policy.admission import SPARE

    size, most, per_shard = lengths(recipe), _most_rows(recipe), recipe.search.shard
    each = {settings.candidates for settings in recipe.rounds}
    return max(int(n * nodes_at_work(cache, size.question + n * SPARE * size.step, per_shard, most, n)) for n in each)


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


def _cost(recipe: Recipe, number: int, at: Setting) -> Cost:
    from rstar_mini.plan.speed import decoding_seconds, training_seconds
    from rstar_mini.plan.tokens import lengths, work

    todo, step = work(recipe, number), lengths(recipe).step
    searched, evaluated = (
        sum(decoding_seconds(each, at, step) for each in part) for part in (todo.search, todo.evaluation)
    )
    tuning = recipe.policy.tuning
    trained = training_seconds(at.base, tuning, recipe.sft, todo.sft, at.where) + training_seconds(
        at.base, tuning, recipe.ppm, todo.ppm, at.where
    )
    return Cost(number, todo.sampled, todo.trained, searched / 3600, trained / 3600, evaluated / 3600)
