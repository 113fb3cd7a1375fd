"""The search over choices: against every combination of small networks, and in time for large ones."""

from __future__ import annotations

import itertools
import random
import time

import pytest

from thimble.codecs import Encoded
from thimble.plan.choose import Costs, choose, units
from thimble.plan.objective import OBJECTIVES, UNLIMITED, Limits, Totals, objective
from thimble.plan.plan import Choice


def choice(codec: str, kernel: str, size: int, instructions: int, scratch: int) -> Choice:
    encoded = Encoded(codec, 1, 1, bytes(size), 0)
    return Choice(codec, "row", kernel, codec, encoded, scratch, instructions)


def network(seed: int, layers: int, codecs: int, kernels: int = 2) -> tuple[dict[str, list[Choice]], Costs]:
    """Layers of all sizes; codecs that store less take longer; kernels that are fast take code and RAM."""
    rng = random.Random(seed)
    ways = {}
    for k in range(layers):
        weights = int(10 ** rng.uniform(1.5, 4))
        positions = rng.choice([1, 4, 25, 100])
        ways[f"l{k}"] = [
            choice(
                f"c{c}",
                f"k{j}",
                int(weights * rng.uniform(0.5, 1)),
                int(weights * (positions * (1 + j) + 6 * rng.random() * c)),
                int(300 * rng.random() * (kernels - j)),
            )
            for c in range(codecs)
            for j in range(kernels)
        ]
    code = {f"c{c}": rng.randrange(200, 1200) for c in range(codecs)}
    code |= {f"k{j}": rng.randrange(300, 900) for j in range(kernels)}
    need = {f"l{k}": rng.randrange(200, 1000) for k in range(layers)}
    costs = Costs(
        code=lambda names: sum(code[name] for name in set(names)),
        arena=lambda layer, c: need[layer] + c.scratch,
        stack=lambda c: 40 if c.function == "k0" else 20,
        flash=500,
    )
    return ways, costs


def totals(pick, costs: Costs) -> Totals:
    used = {name for c in pick.values() for name in units(c)}
    return Totals(
        sum(c.bytes for c in pick.values()) + costs.code(used) + costs.flash,
        sum(c.instructions for c in pick.values()),
        max(costs.arena(layer, c) for layer, c in pick.items()) + max(costs.stack(c) for c in pick.values()),
    )


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("limits", [UNLIMITED, Limits(flash=4000), Limits(ram=1000), Limits(4000, 1000)])
def test_no_combination_is_better(name, limits):
    goal = objective(name)

    def cost(pick):
        found = totals(pick, costs)
        return limits.excess(found), goal.cost(found)

    for seed in range(12):
        ways, costs = network(seed, layers=4, codecs=3)
        every = (dict(zip(ways, pick, strict=True)) for pick in itertools.product(*ways.values()))
        assert cost(choose(ways, goal, {}, costs, limits)) <= min(map(cost, every)), seed


def test_thirty_layers_of_fourteen_codecs_take_seconds():
    ways, costs = network(1, layers=30, codecs=14, kernels=3)
    goal = objective("balanced")
    start = time.process_time()
    pick = choose(ways, goal, {}, costs)
    assert time.process_time() - start < 5
    assert set(pick) == set(ways)


def test_a_wanted_codec_is_taken():
    ways, costs = network(2, layers=5, codecs=4)
    pick = choose(ways, objective("size"), {"l3": "c2"}, costs)
    assert pick["l3"].codec == "c2"


def test_size_does_not_take_a_coder_that_saves_half_a_per_cent_and_takes_ten_times_as_long():
    slow, fast = (choice("slow", "k", 995, 10_000, 0), choice("fast", "k", 1000, 1_000, 0))
    tiny = choice("tiny", "k", 500, 10_000, 0)
    costs = Costs(code=lambda names: 0, arena=lambda layer, c: 0, stack=lambda c: 0)
    goal = objective("size")
    assert choose({"l": [slow, fast]}, goal, {}, costs)["l"] is fast
    assert choose({"l": [tiny, fast]}, goal, {}, costs)["l"] is tiny


def test_balanced_saves_ram_where_that_costs_little():
    lean, hungry = (choice("c", "k0", 1000, 1050, 0), choice("c", "k1", 1000, 1000, 500))
    costs = Costs(code=lambda names: 0, arena=lambda layer, c: 1000 + c.scratch, stack=lambda c: 0)
    ways = {"l": [hungry, lean]}
    assert choose(ways, objective("balanced"), {}, costs)["l"] is lean
    assert choose(ways, objective("speed"), {}, costs)["l"] is hungry
    assert choose(ways, objective("speed"), {}, costs, Limits(ram=1400))["l"] is lean
    # another layer that needs as much anyway makes thrift useless
    assert choose(ways | {"m": [hungry]}, objective("balanced"), {}, costs)["l"] is hungry
