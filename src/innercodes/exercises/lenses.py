"""The exercises of chapter 05: several questions at once, depth taken out, stages exchanged, fair comparisons, units of parts."""

import itertools

import torch
from scipy.stats import rankdata
from torch import Tensor

from innercodes.exercises.protocol import (
    Exercise,
    Mistake,
    between,
    call,
    close,
    function,
    normal,
    numbers,
    require,
    whole,
)

CHAPTER = "05_four_lenses"

# Several questions at once

P_VALUES = (0.004, 0.024, 0.011, 0.02, 0.6)
"""Of the first exercise, one for each question."""


def adjusted(p_values: tuple[float, ...]) -> list[float]:
    """Holm's adjusted p-values by closed testing: of all groups with a question in it, the largest Bonferroni p-value."""
    every = range(len(p_values))
    groups = [one for size in range(1, len(p_values) + 1) for one in itertools.combinations(every, size)]
    return [min(1.0, max(len(g) * min(p_values[j] for j in g) for g in groups if i in g)) for i in every]


def _holm_by_hand(answer: object, generator: torch.Generator) -> str:
    count = len(P_VALUES)
    mine = numbers(answer, (count,))
    raw = torch.tensor(P_VALUES, dtype=torch.float64)
    order = raw.argsort()
    ascending = raw[order]
    falling = torch.arange(count, 0, -1).double()
    rising = torch.arange(1, count + 1).double()
    wanted = torch.tensor(adjusted(P_VALUES), dtype=torch.float64)

    def placed(values: Tensor) -> Tensor:
        return torch.empty_like(values).scatter(0, order, values.clamp(max=1))

    ratios = ascending * count / rising
    typical = [
        (raw, "these are the p-values as they were: nothing is corrected."),
        ((raw * count).clamp(max=1), "every p-value is counted as often as there are questions. Holm steps down: fewer are left."),
        (raw * count, "every p-value is counted as often as there are questions. Holm steps down: fewer are left."),
        (placed(ascending * falling), "the order is turned round: a larger p-value can not get a smaller adjusted one."),
        (placed(ratios.flip(0).cummin(0).values.flip(0)), "this controls the share of false finds (Benjamini, Hochberg). Holm wants none."),
        (placed(ratios), "this controls the share of false finds (Benjamini, Hochberg). Holm wants none."),
        (wanted.sort().values, "these are sorted. Give them in the order of the questions."),
        (placed(ascending * rising), "the *smallest* p-value meets the most questions, the largest one stands alone."),
        ((wanted <= 0.05).double(), "say the adjusted p-values, not the decisions."),
    ]  # fmt: skip

    def need(holds: bool, message: str) -> None:
        require(holds, message, mine, typical, 1e-3)

    need(bool(((mine >= 0) & (mine <= 1)).all()), "a p-value is from nothing to one. Larger ones are cut to one.")
    need(bool((mine >= raw - 1e-9).all()), "an adjusted p-value is never below the one it was made from.")
    need(bool((mine[order].diff() >= -1e-9).all()), "a larger p-value can not get a smaller adjusted one.")
    # On fresh levels: the questions that stay are those for which every group with them in it is refused.
    tested = torch.tensor([between(generator, 0, 0.15) for _ in range(200)], dtype=torch.float64)
    for i in order.tolist():
        side = "small" if float(mine[i]) < float(wanted[i]) else "large"
        same = bool(((mine[i] <= tested) == (wanted[i] <= tested)).all()) and abs(float(mine[i] - wanted[i])) < 1e-3
        need(same, f"question {i + 1}: too {side}. How many questions are still open when its turn comes?")
    return "at any level, the questions that stay are those for which every group with them in it is refused."


# What depth leaves


def _line_out(values: Tensor, depth: Tensor) -> Tensor:
    """Residuals of a straight line on depth."""
    x = depth - depth.mean()
    return values - values.mean() - (values - values.mean()) @ x / (x @ x) * x


def _ranked(values: Tensor) -> Tensor:
    return torch.from_numpy(rankdata(values.numpy())).double()


def _cosine(a: Tensor, b: Tensor) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float(a @ b / (a.norm() * b.norm()))


def _partial(answer: object, generator: torch.Generator) -> str:
    own = function(answer)
    for _ in range(4):
        # Networks with different numbers of stages: depths repeat, and their ranks do not lie on a line.
        depth = torch.cat([torch.arange(n) / (n - 1) for n in (3, 4, 6, 3, whole(generator, 4, 7))]).double()
        count = len(depth)
        shared = normal(generator, count)
        link = between(generator, 0.5, 1.5) * (1 if whole(generator, 0, 1) else -1)
        first = (2 * depth + 0.7 * normal(generator, count) + shared).exp()
        second = (3 * depth**2 + 0.7 * normal(generator, count) + link * shared).exp()
        example = f"for {count} stages of five networks"

        def left(a: Tensor, b: Tensor, given: Tensor, example: str = example) -> Tensor:
            return call(own, a, b, given, shape=(), example=example)

        mine = left(first, second, depth)
        a, b, d = (_ranked(values) for values in (first, second, depth))
        broken = depth.argsort(stable=True).argsort().double()
        # The recursion from three correlations, where the solution has residuals.
        ab, ad, bd = _cosine(a, b), _cosine(a, d), _cosine(b, d)
        wanted = (ab - ad * bd) / ((1 - ad**2) * (1 - bd**2)) ** 0.5
        out = [_line_out(values, d) for values in (a, b)]
        slanted = [values - (values @ d) / (d @ d) * d for values in (a, b)]
        through = float(slanted[0] @ slanted[1] / (slanted[0].norm() * slanted[1].norm()))
        late = [_ranked(_line_out(values, depth)) for values in (first, second)]
        typical = [
            (ab, "depth is not taken out: this is the correlation of the ranks as they are."),
            (_cosine(first, second), "depth is not taken out, and values stand in the place of ranks."),
            (_cosine(_line_out(first, depth), _line_out(second, depth)), "this takes values as they are. Ranks first, of all three."),
            (_cosine(*late), "rank *before* depth is taken out, not after it."),
            (_cosine(*(_ranked(values) for values in out)), "what is left is ranked once more. Correlate it as it is."),
            (_cosine(*slanted), "your line goes through 0. Take the means away first, or fit an intercept too."),
            (through, "your line goes through 0. Take the means away first, or fit an intercept too."),
            (ab - ad * bd, "depth has taken some of the spread too: divide by what is left of it in both numbers."),
            (_cosine(out[0], b), "depth is taken out of one number only. The other one still follows it."),
            (_cosine(a, out[1]), "depth is taken out of one number only. The other one still follows it."),
            (_cosine(_line_out(a, depth), _line_out(b, depth)), "depth must be ranked too: its steps are not equal."),
            (_cosine(_line_out(a, broken), _line_out(b, broken)), "stages of equal depth must share one rank, their mean."),
            (_cosine(a - d, b - d), "the difference from depth is not what depth leaves: a slope must be fitted."),
            (-wanted, "the sign is turned round."),
            (wanted**2, "this is the square. A correlation has a sign."),
        ]  # fmt: skip

        def need(found: Tensor, value: float, message: str, mine=mine, typical=typical) -> None:
            require(abs(float(found) - value) < 1e-4, message, mine, typical, 1e-6)

        need(mine, min(1.0, max(-1.0, float(mine))), "a correlation lies between −1 and 1; yours does not.")
        same, order = float(mine), torch.randperm(count, generator=generator)
        need(
            left(first.log() * 3 + 1, second, depth),
            same,
            "a number on another scale, in the same order: ranks stay, yours changes.",
        )
        need(left(second, first, depth), same, "the two numbers exchanged, and yours changes.")
        need(
            left(first[order], second[order], depth[order]),
            same,
            "the same stages in another order, and yours changes. What do stages of equal depth share?",
        )
        need(
            left(first, -second, depth),
            -same,
            "one number turned round: the correlation must turn its sign, yours does not.",
        )
        need(
            left(first, second, depth.square()),
            same,
            "depth on another scale, in the same order: ranks stay, yours changes.",
        )
        side = "large" if float(mine) > wanted else "small"
        need(mine, wanted, f"{example}, yours is too {side}: {float(mine):.2f} is not what depth leaves of the correlation.")  # fmt: skip
    return "depth may bend and repeat as it likes: what it does to both is gone."


# Stages exchanged

SHUFFLES, FEW = 1000, 9


def _arrangements(first: Tensor, second: Tensor, network: Tensor) -> Tensor:
    """Mean of first * second under every exchange of stages within networks, float64 (arrangements,)."""
    sums = torch.zeros(1, dtype=torch.float64)
    for one in network.unique():
        mine, other = first[network == one], second[network == one]
        orders = torch.tensor(list(itertools.permutations(range(len(other)))))
        sums = (sums[:, None] + (mine * other[orders]).sum(1)).flatten()
    return sums / len(first)


def networks_of(generator: torch.Generator, wanted: float) -> tuple[Tensor, Tensor, Tensor]:
    """Two numbers of the stages of three networks, float64 (12,), and int64 (12,) whose they are, in mixed order.

    Networks differ much in both numbers. Within a network, stages stand as that exchange of them which has a p-value nearest to
    `wanted`.
    """
    network = torch.arange(3).repeat_interleave(4)
    between_networks = 3 * torch.arange(3).double()[network]
    first = between_networks + normal(generator, 12).abs()
    second = between_networks + normal(generator, 12).abs()
    every = _arrangements(first, second, network)
    chosen = int(every.argsort(descending=True)[int(wanted * len(every))])
    orders = list(itertools.permutations(range(4)))
    # The last network's exchange turns fastest.
    digits = [chosen // 24**2, chosen // 24 % 24, chosen % 24]
    places = torch.cat([torch.tensor(orders[digit]) + 4 * i for i, digit in enumerate(digits)])
    mixed = torch.randperm(12, generator=generator)
    return first[mixed], second[places][mixed], network[mixed]


def tied_networks(generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """As `networks_of`, of whole numbers: 51 of 216 exchanges are as large as the one seen, and 13 are larger.

    One number is larger where the other one is smaller, so that every mean is below 0.
    """
    network = torch.arange(3).repeat_interleave(4)
    level = 3 * (1 + torch.arange(3))[network].double()
    # Two of four stages stand out. Both do so in both numbers in one network, and one of them in the other two.
    first = torch.tensor([0.0, 0, 1, 1]).repeat(3).double()
    second = torch.tensor([0.0, 0, 1, 1, 0, 1, 0, 1, 0, 1, 1, 0]).double()
    mixed = torch.randperm(12, generator=generator)
    return (level + first)[mixed], (second - level)[mixed], network[mixed]


def _exchanged_p(answer: object, generator: torch.Generator) -> str:
    own = function(answer)
    example = "for three networks of four stages"
    counts = networks_of(generator, 0.3)
    tenths = (FEW + 1) * call(own, *counts, FEW, shape=(), example=example)
    require(
        0 <= float(tenths) <= FEW + 1, f"{example}: a p-value is a share, and {float(tenths) / (FEW + 1):.3g} is none."
    )
    seen = "The arrangement that was seen is one of those that could be: count it in"
    require(float(tenths) > 0, f"a p-value of 0. {seen}.")
    require(
        abs(float(tenths - tenths.round())) < 1e-3,
        f"{FEW} shuffles, and {float(tenths) / (FEW + 1):.3g} is no number of tenths. {seen}, above and below the line.",
    )
    for aim in (between(generator, 0.2, 0.4), 0.0005, None):
        first, second, network = tied_networks(generator) if aim is None else networks_of(generator, aim)
        mine = call(own, first, second, network, SHUFFLES, shape=(), example=example)
        statistic = (first * second).mean()
        every = _arrangements(first, second, network)
        p = float((every >= statistic - 1e-9).double().mean())
        free = torch.rand(4000, 12, generator=generator).argsort(1)
        anywhere = float(((first * second[free]).mean(1) >= statistic).double().mean())
        below = float((every <= statistic + 1e-9).double().mean())
        larger = float((every > statistic + 1e-9).double().mean())
        # Six standard errors of a share, and the own arrangement that is counted in.
        error = 6 * (p * (1 - p) / SHUFFLES) ** 0.5 + 2 / SHUFFLES
        found = float(mine)

        def near(value: float, found: float = found) -> bool:
            return abs(found - value) <= 6 * (value * (1 - value) / SHUFFLES) ** 0.5 + 2 / SHUFFLES

        require(0 <= found <= 1, f"{example}: a p-value is a share, and {found:.3g} is none.")
        require(found > 0, f"a p-value of 0. {seen}.")
        if abs(found - p) <= error:
            continue
        require(found < 1 - 1e-9, "no shuffle changed anything. Exchange one of the two numbers, and leave the other.")
        if near(anywhere):
            require(False, "points wander to other networks. What differs between networks must stay where it is.")
        if near(below):
            require(
                False, "this counts arrangements whose mean is *smaller*. Which ones are as extreme as the one seen?"
            )
        if aim is None and near(larger):
            require(False, "arrangements whose mean is just as large count too: *at least* as large.")
        side = "large" if found > p else "small"
        require(
            False, f"{example}, counted over all {len(every):,} exchanges within networks, {found:.3g} is too {side}."
        )
    return "all 13,824 exchanges, counted one by one, give the same share."


# Together, or the best alone


def area(good: Tensor, bad: Tensor) -> float:
    """AUROC from the sum of ranks: how often a good picture has the higher score; ties count a half."""
    ranks = _ranked(torch.cat([good, bad]))
    n = len(good)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * len(bad)))


def _areas(every: Tensor, groups: Tensor, rest: bool = False) -> Tensor:
    """AUROC of scores (N, k) for each task, float64 (tasks, k); against all other pictures with `rest`."""
    tasks = range(1, int(groups.max()) + 1)
    good = [groups != task if rest else groups == 0 for task in tasks]
    found = [[area(s[g], s[groups == t]) for s in every.T] for t, g in zip(tasks, good, strict=True)]
    return torch.tensor(found, dtype=torch.float64)


def _gain(answer: object, generator: torch.Generator) -> str:
    own = function(answer)
    for _ in range(3):
        sizes = (whole(generator, 60, 90), whole(generator, 40, 50), whole(generator, 12, 20), whole(generator, 25, 35))
        groups = torch.cat([torch.full((size,), g) for g, size in enumerate(sizes)])
        groups = groups[torch.randperm(len(groups), generator=generator)]
        # Each task has a score of its own that sees it well; the combination sees each of them a little.
        fall = torch.full((4, 4), 0.2, dtype=torch.float64)
        fall[1, 0], fall[2, 1], fall[3, 2], fall[0] = 1.6, 1.4, 1.8, 0
        scores = normal(generator, len(groups), 4) - fall[groups]
        combined = normal(generator, len(groups)) - 1.1 * (groups > 0)
        # Rounded, so that ties are many.
        scores, combined = ((x * 1.5).round() / 1.5 for x in (scores, combined))
        example = f"for four scores and tasks of {sizes[1]}, {sizes[2]} and {sizes[3]} pictures"

        def gain(a: Tensor, b: Tensor, c: Tensor, example: str = example) -> Tensor:
            return call(own, a, b, c, shape=(), example=example)

        mine = gain(scores, combined, groups)
        every = torch.cat([combined[:, None], scores], 1)
        found, rest = _areas(every, groups), _areas(every, groups, rest=True)
        whole_ties = _counted_ties(every, groups)
        strict = 2 * found - whole_ties
        pooled = _areas(every, (groups > 0).long())
        wanted = _over_best(found)
        mean = found.mean(0)
        weights = torch.tensor(sizes[1:]).double()
        weights = weights / weights.sum()
        typical = [
            (float((found[:, 0] - found[:, 1:].mean(1)).mean()), "a mean of the single scores is no rival. Compare with the best one."),
            (float(mean[0] - mean[1:].max()), "the best single score may be another one in each task. You take one for all tasks."),
            (-wanted, "the sign: above 0 where the combination is better."),
            (float(found[:, 0].mean()), "this is the combination alone. Beside what?"),
            (float(found[:, 1:].amax(1).mean()), "these are the single scores alone. Where is the combination?"),
            (_over_best(1 - found), "AUROC is upside down: right pictures have the *higher* score."),
            (_over_best(strict), "ties count a half. You leave them out."),
            (_over_best(whole_ties), "ties count a half. You count them whole."),
            (_over_best(pooled), "all tasks are thrown together. Each one stands alone against the right pictures."),
            (_over_best(rest), "a task is told from the *right* pictures, not from the other tasks too."),
            (float((found[:, 0] - found[:, 1:].amax(1)) @ weights), "tasks with more pictures count more. Take the mean over tasks."),
        ]  # fmt: skip

        def need(holds: bool, message: str, mine=mine, typical=typical) -> None:
            require(holds, message, mine, typical, 1e-6)

        order = torch.randperm(len(groups), generator=generator)
        need(
            all(float(gain(scores, scores[:, j], groups)) <= 1e-6 for j in range(4)),
            "one of the scores in the place of the combination can not beat the best one. With yours it does.",
        )
        need(
            close(gain(scores.exp(), combined, groups), mine),
            "scores on another scale, in the same order: AUROC stays, yours changes.",
        )
        need(
            close(gain(scores[order], combined[order], groups[order]), mine),
            "the same pictures in another order, and yours changes.",
        )
        side = "large" if float(mine) > wanted else "small"
        need(
            abs(float(mine) - wanted) < 1e-4,
            f"{example}, yours is too {side}: counted pair by pair it is another gain.",
        )
    return "counted pair by pair, in each task against the score that is best there."


def _over_best(areas: Tensor) -> float:
    """Mean over tasks of the first column minus the best of the others, (tasks, 1 + k)."""
    return float((areas[:, 0] - areas[:, 1:].amax(1)).mean())


def _counted_ties(every: Tensor, groups: Tensor) -> Tensor:
    """What `_areas` would be if ties counted whole."""
    found = []
    for task in range(1, int(groups.max()) + 1):
        good, bad = every[groups == 0], every[groups == task]
        found.append((good[:, None] >= bad).double().mean((0, 1)))
    return torch.stack(found)


# Who warns first

ALARMS = 0.95
"""Share of pictures under noise that must not raise an alarm."""


def made_changes(generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Changes under noise (N, stages, lenses) and under an attack (P, stages, lenses), and the first stage int64 (P, lenses).

    The first stage at which a lens warns; as many as there are stages where it never does. No change lies near a threshold,
    whichever way a quantile is worked out; each stage and each lens has a scale of its own.
    """
    stages, lenses, rows, pictures = 4, whole(generator, 3, 5), 200, whole(generator, 60, 90)
    scale = (1.5 * normal(generator, stages, lenses)).exp()
    high = torch.rand(rows // 20, stages, lenses, generator=generator).double() / 10 + 2
    high[: rows // 40] += 1.5
    low = torch.rand(rows - len(high), stages, lenses, generator=generator).double()
    noise = torch.cat([low, high])[torch.randperm(rows, generator=generator)]
    first = torch.randint(0, stages + 3, (pictures, lenses), generator=generator).clamp(max=stages)
    first[: pictures // 6] = stages  # nobody warns
    first[pictures // 6 : pictures // 3] = first[pictures // 6 : pictures // 3, :1]  # all at once
    above = torch.rand(pictures, stages, lenses, generator=generator) < 0.7
    at = torch.arange(stages)[:, None]
    loud = (at == first[:, None]) | ((at > first[:, None]) & above)
    drawn = torch.rand(pictures, stages, lenses, generator=generator).double()
    # The largest change tends to come late, so that it can not be taken for the first.
    attacked = torch.where(loud, 2.3 + 0.4 * drawn + 0.3 * at * drawn, 0.9 * drawn)
    order = torch.randperm(pictures, generator=generator)
    return noise * scale, (attacked * scale)[order], first[order]


def _shares(first: Tensor, stages: int, split: bool = True, silent: bool = False) -> Tensor:
    """Share of pictures for which each lens is first, from first stages (P, lenses)."""
    earliest = first.min(1, keepdim=True).values
    leads = (first == earliest) & ((earliest < stages) | silent)
    if not split:
        return leads.double().mean(0)
    return (leads / leads.sum(1, keepdim=True).clamp(min=1)).mean(0)


def _first_over(changes: Tensor, threshold: Tensor) -> Tensor:
    over = changes > threshold
    return torch.where(over.any(1), over.double().argmax(1), changes.shape[1])


def _first_to_warn(answer: object, generator: torch.Generator) -> str:
    own = function(answer)
    for _ in range(3):
        noise, attacked, first = made_changes(generator)
        pictures, stages, lenses = attacked.shape
        example = f"for {pictures} attacked pictures, {stages} stages and {lenses} lenses"

        def shares(a: Tensor, b: Tensor, lenses: int = lenses, example: str = example) -> Tensor:
            return call(own, a, b, shape=(lenses,), example=example)

        mine = shares(noise, attacked)
        # Counted picture by picture from what was planted.
        wanted = torch.zeros(lenses, dtype=torch.float64)
        for row in first.tolist():
            if min(row) < stages:
                for lens in range(lenses):
                    wanted[lens] += (row[lens] == min(row)) / row.count(min(row)) / pictures
        silent = torch.where(first < stages, first, 0)
        leader = first.argmin(1)
        heard = first.min(1).values < stages
        one_taken = torch.stack([((leader == j) & heard).double().mean() for j in range(lenses)])
        each = _shares(first, stages, split=False)
        by_threshold = {
            "shared": noise.flatten().quantile(ALARMS),
            "stages": noise.flatten(0, 1).quantile(ALARMS, 0),
            "largest": noise.amax(0),
            "attacked": attacked.quantile(ALARMS, 0),
            "median": noise.median(0).values,
        }
        other_way = {name: _shares(_first_over(attacked, value), stages) for name, value in by_threshold.items()}
        relative = attacked / noise.quantile(ALARMS, 0)
        largest = relative.argmax(1)
        typical = [
            (_shares(silent, stages), "a lens that never warns counts as one that warns at the first stage."),
            (_shares(first, stages, silent=True), "a picture that no lens warns of counts for nobody."),
            (one_taken, "where lenses warn at the same stage, the picture is split among them. You give it to one."),
            (each, "where lenses warn at the same stage, the picture is split among them. You give it to each."),
            (other_way["shared"], "one threshold for all lenses: they have different scales."),
            (other_way["stages"], "one threshold for all stages: each has a scale of its own."),
            (other_way["largest"], "the threshold is the largest change under noise. One picture in twenty may lie above it."),
            (other_way["attacked"], "the threshold must come from noise: attacked pictures can not set it."),
            (other_way["median"], "the threshold is the median: half of the noise would raise an alarm."),
            ((first < stages).double().mean(0), "this counts how often a lens warns at all. Who is *first*?"),
            (_shares(largest, stages), "the first alarm is wanted, not the loudest one."),
            (wanted * pictures, "these are counts; shares of all attacked pictures are wanted."),
            (wanted / wanted.sum(), "these are shares of the pictures that some lens warns of; of *all* attacked ones are wanted."),
        ]  # fmt: skip

        def need(holds: bool, message: str, mine=mine, typical=typical) -> None:
            require(holds, message, mine, typical, 1e-6)

        need(
            bool((mine >= 0).all()) and float(mine.sum()) <= 1 + 1e-6,
            "shares of pictures: from 0, and together 1 at most.",
        )
        other = (normal(generator, stages, lenses)).exp()
        need(
            close(shares(noise * other, attacked * other), mine),
            "lenses and stages on other scales: nobody warns earlier, and yours changes.",
        )
        turned = torch.randperm(lenses, generator=generator)
        need(
            close(shares(noise[..., turned], attacked[..., turned]), mine[turned]),
            "the lenses in another order: shares must go with them.",
        )
        need(close(shares(noise, 0 * attacked), 0 * mine), "nothing changes, and yours still lets a lens warn.")
        for lens in range(lenses):
            side = "large" if float(mine[lens]) > float(wanted[lens]) else "small"
            need(
                abs(float(mine[lens] - wanted[lens])) < 1e-4,
                f"{example}, counted picture by picture, your share of lens {lens + 1} is too {side}.",
            )  # fmt: skip
    return "counted picture by picture, with as many false alarms for every lens at every stage."


# Units that know parts

WIDTH, PARTS, UNITS, CELLS, PRESENT, NOISE, TELL, BEYOND = 24, 32, 48, 800, 0.08, 0.1, 0.9, 0.03
"""Neurons, parts and units, cells in each half, how often a part is there, noise, and the AUROC and the lead that are asked for."""


def cells_of(generator: torch.Generator, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Responses float64 (CELLS, WIDTH) of cells, and which parts they show, bool (CELLS, PARTS).

    A part that is there adds its direction, from once to twice. There are more parts than neurons.
    """
    there = torch.rand(CELLS, PARTS, generator=generator) < PRESENT
    strength = 1 + torch.rand(CELLS, PARTS, generator=generator).double()
    return (there * strength) @ directions + NOISE * normal(generator, CELLS, WIDTH), there


def tells(responses: Tensor, there: Tensor) -> float:
    """Mean over parts of the AUROC of the best unit, float (N, U) and bool (N, P): chosen on one half, asked on the other.

    A unit may speak for a part or fall silent.
    """
    halves = [slice(0, len(there) // 2), slice(len(there) // 2, None)]
    chosen, asked = (_unit_areas(responses[half], there[half]) for half in halves)
    best = (chosen - 0.5).abs().max(1, keepdim=True).indices
    value = asked.gather(1, best)
    return float(torch.where(chosen.gather(1, best) >= 0.5, value, 1 - value).mean())


def _unit_areas(responses: Tensor, there: Tensor) -> Tensor:
    ranks = torch.from_numpy(rankdata(responses.numpy(), axis=0)).double()
    n = there.double().sum(0)[:, None]
    return (there.double().T @ ranks - n * (n + 1) / 2) / (n * (len(there) - n))


def _part_units(answer: object, generator: torch.Generator) -> str:
    own = function(answer)
    directions = torch.nn.functional.normalize(normal(generator, PARTS, WIDTH), dim=1)
    (learn, _), (ask, there) = cells_of(generator, directions), cells_of(generator, directions)
    found = call(own, learn, ask, UNITS, shape=(CELLS, UNITS), example=f"for {CELLS} cells and {UNITS} units")
    require(bool((found != found[:1]).any()), "your units say the same to every cell.")
    value = tells(found, there)
    random = tells(ask @ normal(generator, WIDTH, UNITS), there)
    beside = f"AUROC: yours {value:.2f}, as many random projections {random:.2f}, neurons {tells(ask, there):.2f}, chance 0.5."
    moved = tells(found[torch.randperm(CELLS, generator=generator)], there)
    require(value > moved + 0.1, f"your responses do not belong to the cells in the order that was given. {beside}")
    require(value >= random + BEYOND, f"no better than random projections. {beside}")
    require(value >= TELL, f"better than random projections, and not yet {TELL}. {beside}")
    return f"your units know the parts. {beside} Now ask the cells of this chapter."


EXERCISES = (
    Exercise(
        key="holm_by_hand",
        chapter=CHAPTER,
        title="Five questions at once",
        difficulty="warm-up",
        minutes=10,
        task="""
            Five questions were asked of the same pictures. Their p-values are 0.004, 0.024, 0.011, 0.02 and 0.6. This book corrects
            them by Holm's step-down method. What are the adjusted p-values, in the order of the questions? An adjusted p-value is
            the smallest level at which a question still has a yes. Do not round.
            """,
        name="mine",
        stub="mine = [..., ..., ..., ..., ...]  # one for each question",
        hints=(
            "The smallest p-value has to stand against five questions. If it does, how many are left for the next one?",
            "The method stops at the first question that fails. So an adjusted p-value is never smaller than the one before it.",
        ),
        solution="mine = [0.02, 0.06, 0.044, 0.06, 0.6]",
        explanation="""
            Sorted: 0.004 × 5, 0.011 × 4, 0.02 × 3, then 0.024 × 2 = 0.048, which is lifted to 0.06, since the one before has
            failed. At a level of 0.05 two questions have a yes. Without any correction there would be four.
            """,
        mistakes=(
            Mistake("nothing corrected", "mine = [0.004, 0.024, 0.011, 0.02, 0.6]", "nothing is corrected"),
            Mistake("Bonferroni", "mine = [0.02, 0.12, 0.055, 0.1, 1]", "Holm steps down"),
            Mistake("no step is carried on", "mine = [0.02, 0.048, 0.044, 0.06, 0.6]", "the order is turned round"),
            Mistake("false discovery rate", "mine = [0.02, 0.03, 0.0275, 0.03, 0.6]", "the share of false finds"),
            Mistake("sorted", "mine = [0.02, 0.044, 0.06, 0.06, 0.6]", "in the order of the questions"),
            Mistake("steps up", "mine = [0.004, 0.096, 0.022, 0.06, 1]", "the *smallest* p-value meets the most"),
            Mistake("decisions", "mine = [1, 0, 1, 0, 0]", "not the decisions"),
            Mistake("a guess", "mine = [0.02, 0.05, 0.05, 0.05, 0.7]", "How many questions are still open"),
        ),
        test=_holm_by_hand,
    ),
    Exercise(
        key="partial",
        chapter=CHAPTER,
        title="Same thing twice?",
        difficulty="easy",
        minutes=15,
        task="""
            Two numbers rise with depth in every network, so they go together. Do they still, with depth taken out? Write
            `partial(first, second, depth)`: rank all three, take from each number what a straight line on the ranks of depth gives, and
            correlate what is left as it is. There is an entry per stage. Stages of equal depth share a rank, the mean of theirs.
            """,
        name="partial",
        stub='''
            def partial(first, second, depth):
                """Correlation of the ranks of two numbers given depth: float (n,) each to a number."""
                ...
            ''',
        hints=(
            "`scipy.stats.rankdata` ranks; equal values get the mean of their ranks.",
            "Take the mean from all ranks first. Then the line is a multiple of the ranks of depth: which multiple leaves least?",
        ),
        solution='''
            def partial(first, second, depth):
                """Correlation of the ranks of two numbers given depth: float (n,) each to a number."""
                from scipy.stats import rankdata

                a, b, d = (torch.as_tensor(rankdata(values)) for values in (first, second, depth))
                a, b, d = (ranks - ranks.mean() for ranks in (a, b, d))
                a, b = (ranks - (ranks @ d) / (d @ d) * d for ranks in (a, b))
                return a @ b / (a.norm() * b.norm())
            ''',
        explanation="""
            Give it two numbers that are depth plus noise: their correlation is high, and what is left is near 0. Questions 1 and 2 of
            this chapter are asked so. It takes out what is monotone in depth, and no more: what differs between networks stays, and
            exercise 3 is about that.
            """,
        mistakes=(
            Mistake(
                "depth stays in",
                """
                def partial(first, second, depth):
                    from scipy.stats import spearmanr

                    return spearmanr(first, second).statistic
                """,
                "depth is not taken out: this is",
            ),
            Mistake(
                "values for ranks",
                """
                def partial(first, second, depth):
                    a, b, d = (x - x.mean() for x in (first, second, depth))
                    a, b = (x - (x @ d) / (d @ d) * d for x in (a, b))
                    return a @ b / (a.norm() * b.norm())
                """,
                "Ranks first",
            ),
            Mistake(
                "ranks of what is left",
                """
                def partial(first, second, depth):
                    from scipy.stats import spearmanr

                    a, b, d = (x - x.mean() for x in (first, second, depth))
                    a, b = (x - (x @ d) / (d @ d) * d for x in (a, b))
                    return spearmanr(a, b).statistic
                """,
                "rank *before* depth is taken out",
            ),
            Mistake(
                "ranked twice",
                """
                def partial(first, second, depth):
                    from scipy.stats import rankdata, spearmanr

                    a, b, d = (torch.as_tensor(rankdata(values)) for values in (first, second, depth))
                    a, b, d = (ranks - ranks.mean() for ranks in (a, b, d))
                    a, b = (ranks - (ranks @ d) / (d @ d) * d for ranks in (a, b))
                    return spearmanr(a, b).statistic
                """,
                "what is left is ranked once more",
            ),
            Mistake(
                "no intercept",
                """
                def partial(first, second, depth):
                    from scipy.stats import rankdata

                    a, b, d = (torch.as_tensor(rankdata(values)) for values in (first, second, depth))
                    a, b = (ranks - (ranks @ d) / (d @ d) * d for ranks in (a, b))
                    return torch.corrcoef(torch.stack([a, b]))[0, 1]
                """,
                "your line goes through 0",
            ),
            Mistake(
                "out of one alone",
                """
                def partial(first, second, depth):
                    from scipy.stats import rankdata

                    a, b, d = (torch.as_tensor(rankdata(values)) for values in (first, second, depth))
                    a, b, d = (ranks - ranks.mean() for ranks in (a, b, d))
                    a = a - (a @ d) / (d @ d) * d
                    return a @ b / (a.norm() * b.norm())
                """,
                "out of one number only",
            ),
            Mistake(
                "equal depths parted",
                """
                def partial(first, second, depth):
                    a, b, d = (x.argsort(stable=True).argsort().double() for x in (first, second, depth))
                    a, b, d = (ranks - ranks.mean() for ranks in (a, b, d))
                    a, b = (ranks - (ranks @ d) / (d @ d) * d for ranks in (a, b))
                    return a @ b / (a.norm() * b.norm())
                """,
                "must share one rank",
            ),
            Mistake(
                "a difference",
                """
                def partial(first, second, depth):
                    from scipy.stats import rankdata

                    a, b, d = (torch.as_tensor(rankdata(values)) for values in (first, second, depth))
                    return torch.corrcoef(torch.stack([a - d, b - d]))[0, 1]
                """,
                "a slope must be fitted",
            ),
        ),
        test=_partial,
    ),
    Exercise(
        key="exchanged_p",
        chapter=CHAPTER,
        title="Exchange the stages",
        difficulty="medium",
        minutes=25,
        task="""
            Networks may differ in two numbers for any reason, and then all their stages agree. So the chance level exchanges stages
            *within* each network. Write `exchanged_p(first, second, network, shuffles)`. Make `shuffles` random exchanges, and add
            the arrangement that was seen as one more. The result is the share of all these whose mean of `first * second` is at
            least as large as the one seen. Each stage has an entry in all three; `network` says whose it is. Stages come in any
            order, and none leaves its network.
            """,
        name="exchanged_p",
        stub='''
            def exchanged_p(first, second, network, shuffles):
                """p-value by exchanging stages within networks: float (n,), float (n,), int (n,), int to a number."""
                ...
            ''',
        hints=(
            "Shuffle one of the two numbers, network by network. The other one stays.",
            "`torch.randperm` for each network's places will do. What is the smallest p-value that so many shuffles can give?",
        ),
        solution='''
            def exchanged_p(first, second, network, shuffles):
                """p-value by exchanging stages within networks: float (n,), float (n,), int (n,), int to a number."""
                # Whole numbers keep networks apart, random fractions mix the stages of each.
                order = (torch.rand(shuffles, len(network)) + network).argsort(1)
                moved = torch.empty(shuffles, len(network), dtype=second.dtype)
                moved[:, network.argsort(stable=True)] = second[order]
                as_large = (first * moved).mean(1) >= (first * second).mean() - 1e-12
                return (1 + as_large.sum()) / (1 + shuffles)
            ''',
        explanation="""
            A free shuffle finds a link in any two numbers that differ between networks: its p-value is tiny where this one is
            not. With three networks of four stages there are 13,824 exchanges, so that no p-value below 1 / 13,824 means
            anything. Two architectures are two networks, however many stages they have.
            """,
        mistakes=(
            Mistake(
                "a free shuffle",
                """
                def exchanged_p(first, second, network, shuffles):
                    order = torch.rand(shuffles, len(network)).argsort(1)
                    found = (first * second[order]).mean(1)
                    return (1 + (found >= (first * second).mean()).sum()) / (1 + shuffles)
                """,
                "points wander to other networks",
            ),
            Mistake(
                "the smaller ones",
                """
                def exchanged_p(first, second, network, shuffles):
                    order = (torch.rand(shuffles, len(network)) + network).argsort(1)
                    moved = torch.empty(shuffles, len(network), dtype=second.dtype)
                    moved[:, network.argsort(stable=True)] = second[order]
                    return (1 + ((first * moved).mean(1) <= (first * second).mean()).sum()) / (1 + shuffles)
                """,
                "whose mean is *smaller*",
            ),
            Mistake(
                "both moved alike",
                """
                def exchanged_p(first, second, network, shuffles):
                    order = (torch.rand(shuffles, len(network)) + network).argsort(1)
                    found = (first[order] * second[order]).mean(1)
                    return (1 + (found >= (first * second).mean() - 1e-9).sum()) / (1 + shuffles)
                """,
                "no shuffle changed anything",
            ),
            Mistake(
                "sorted stages taken for granted",
                """
                def exchanged_p(first, second, network, shuffles):
                    order = (torch.rand(shuffles, len(network)) + network).argsort(1)
                    found = (first * second[order]).mean(1)
                    return (1 + (found >= (first * second).mean()).sum()) / (1 + shuffles)
                """,
                "points wander to other networks",
            ),
            Mistake(
                "a count",
                """
                def exchanged_p(first, second, network, shuffles):
                    order = (torch.rand(shuffles, len(network)) + network).argsort(1)
                    moved = torch.empty(shuffles, len(network), dtype=second.dtype)
                    moved[:, network.argsort(stable=True)] = second[order]
                    return 2 + ((first * moved).mean(1) >= (first * second).mean()).sum()
                """,
                "a p-value is a share",
            ),
            Mistake(
                "0 for a rare one",
                """
                def exchanged_p(first, second, network, shuffles):
                    return 0.0
                """,
                "a p-value of 0",
            ),
            Mistake(
                "the one seen left out",
                """
                def exchanged_p(first, second, network, shuffles):
                    order = (torch.rand(shuffles, len(network)) + network).argsort(1)
                    moved = torch.empty(shuffles, len(network), dtype=second.dtype)
                    moved[:, network.argsort(stable=True)] = second[order]
                    return ((first * moved).mean(1) >= (first * second).mean() - 1e-12).double().mean()
                """,
                "one of those that could be: count it in",
            ),
            Mistake(
                "only larger ones",
                """
                def exchanged_p(first, second, network, shuffles):
                    order = (torch.rand(shuffles, len(network)) + network).argsort(1)
                    moved = torch.empty(shuffles, len(network), dtype=second.dtype)
                    moved[:, network.argsort(stable=True)] = second[order]
                    as_large = (first * moved).mean(1) > (first * second).mean() + 1e-9
                    return (1 + as_large.sum()) / (1 + shuffles)
                """,
                "*at least* as large",
            ),
        ),
        test=_exchanged_p,
    ),
    Exercise(
        key="gain",
        chapter=CHAPTER,
        title="Together, or the best alone",
        difficulty="medium",
        minutes=25,
        task="""
            A combination of scores is worth its trouble only if it beats the best of them. `groups` says of each picture 0 where the
            network is right, else which task it belongs to: 1, 2, 3. In a task, right pictures are to have the higher score than the
            task's; AUROC says how often they do, ties a half. Write `gain(scores, combined, groups)`: AUROC of the combination
            minus that of the best single score *of the task*, mean over tasks. `scores` has a row per picture, a column per score.
            """,
        name="gain",
        stub='''
            def gain(scores, combined, groups):
                """AUROC over the best single score of each task: float (N, k), float (N,), int (N,) to a number."""
                ...
            ''',
        hints=(
            "AUROC first, for one score and one task: compare every right picture with every one of the task.",
            "Which score is best may change from task to task. So take the largest before the mean, not after it.",
        ),
        solution='''
            def gain(scores, combined, groups):
                """AUROC over the best single score of each task: float (N, k), float (N,), int (N,) to a number."""
                every = torch.cat([combined[:, None], scores], 1)
                gains = []
                for task in range(1, int(groups.max()) + 1):
                    gaps = every[groups == 0][:, None] - every[groups == task]
                    areas = ((gaps > 0).double() + (gaps == 0) / 2).mean((0, 1))
                    gains.append(areas[0] - areas[1:].max())
                return torch.stack(gains).mean()
            ''',
        explanation="""
            This is the number of question 4. A score that is best on average is the softer rival: nobody has to use the same one for
            every task. Nor is this enough. A combination that has learned from examples must be asked about other ones, and be held
            against the usual scores that have learned as well.
            """,
        mistakes=(
            Mistake(
                "one rival for all tasks",
                """
                def gain(scores, combined, groups):
                    every = torch.cat([combined[:, None], scores], 1)
                    areas = []
                    for task in range(1, int(groups.max()) + 1):
                        gaps = every[groups == 0][:, None] - every[groups == task]
                        areas.append(((gaps > 0).double() + (gaps == 0) / 2).mean((0, 1)))
                    mean = torch.stack(areas).mean(0)
                    return mean[0] - mean[1:].max()
                """,
                "may be another one in each task",
            ),
            Mistake(
                "the mean score as rival",
                """
                def gain(scores, combined, groups):
                    every = torch.cat([combined[:, None], scores], 1)
                    gains = []
                    for task in range(1, int(groups.max()) + 1):
                        gaps = every[groups == 0][:, None] - every[groups == task]
                        areas = ((gaps > 0).double() + (gaps == 0) / 2).mean((0, 1))
                        gains.append(areas[0] - areas[1:].mean())
                    return torch.stack(gains).mean()
                """,
                "is no rival",
            ),
            Mistake(
                "ties left out",
                """
                def gain(scores, combined, groups):
                    every = torch.cat([combined[:, None], scores], 1)
                    gains = []
                    for task in range(1, int(groups.max()) + 1):
                        gaps = every[groups == 0][:, None] - every[groups == task]
                        areas = (gaps > 0).double().mean((0, 1))
                        gains.append(areas[0] - areas[1:].max())
                    return torch.stack(gains).mean()
                """,
                "You leave them out",
            ),
            Mistake(
                "upside down",
                """
                def gain(scores, combined, groups):
                    every = torch.cat([combined[:, None], scores], 1)
                    gains = []
                    for task in range(1, int(groups.max()) + 1):
                        gaps = every[groups == task][:, None] - every[groups == 0]
                        areas = ((gaps > 0).double() + (gaps == 0) / 2).mean((0, 1))
                        gains.append(areas[0] - areas[1:].max())
                    return torch.stack(gains).mean()
                """,
                "AUROC is upside down",
            ),
            Mistake(
                "all tasks in one",
                """
                def gain(scores, combined, groups):
                    every = torch.cat([combined[:, None], scores], 1)
                    gaps = every[groups == 0][:, None] - every[groups > 0]
                    areas = ((gaps > 0).double() + (gaps == 0) / 2).mean((0, 1))
                    return areas[0] - areas[1:].max()
                """,
                "all tasks are thrown together",
            ),
            Mistake(
                "the rest as right",
                """
                def gain(scores, combined, groups):
                    every = torch.cat([combined[:, None], scores], 1)
                    gains = []
                    for task in range(1, int(groups.max()) + 1):
                        gaps = every[groups != task][:, None] - every[groups == task]
                        areas = ((gaps > 0).double() + (gaps == 0) / 2).mean((0, 1))
                        gains.append(areas[0] - areas[1:].max())
                    return torch.stack(gains).mean()
                """,
                "told from the *right* pictures",
            ),
        ),
        test=_gain,
    ),
    Exercise(
        key="first_to_warn",
        chapter=CHAPTER,
        title="Who warns first?",
        difficulty="hard",
        minutes=35,
        task="""
            An attack runs through the stages, and each lens sees a picture change by some amount. When is that an alarm? Where the
            change is above what 95 % of pictures under *noise* change by, at the same stage in the same lens. Write
            `first_to_warn(noise, attacked)`: for each lens the share of attacked pictures of which it warns first, at the earliest
            stage. Lenses that warn at the same stage share a picture equally. A picture that no lens warns of counts for nobody.
            Both inputs are (pictures, stages, lenses).
            """,
        name="first_to_warn",
        stub='''
            def first_to_warn(noise, attacked):
                """Share of pictures of which each lens warns first: float (N, S, L), float (P, S, L) to (L,)."""
                ...
            ''',
        hints=(
            "`noise.quantile(0.95, 0)` is a threshold for every stage and lens. Then there is only true and false.",
            "`argmax` of true and false gives the first true. What does it give where all are false?",
        ),
        solution='''
            def first_to_warn(noise, attacked):
                """Share of pictures of which each lens warns first: float (N, S, L), float (P, S, L) to (L,)."""
                alarms = attacked > noise.quantile(0.95, 0)
                stages = alarms.shape[1]
                # Beyond the last stage where a lens never warns.
                first = torch.where(alarms.any(1), alarms.double().argmax(1), stages)
                earliest = first.min(1, keepdim=True).values
                leads = (first == earliest) & (earliest < stages)
                return (leads / leads.sum(1, keepdim=True).clamp(min=1)).mean(0)
            ''',
        explanation="""
            Equal false alarms make lenses comparable: whose threshold is low is always first. In this chapter
            `moved = torch.from_numpy(changes.moved["trained"][0])` holds both, the attack in `moved[..., 0]` and noise in
            `moved[..., 1]`. A lens may raise a false alarm at *any* of its stages, so all together they are more than 5 %: several
            questions at once, as in exercise 1.
            """,
        mistakes=(
            Mistake(
                "silence is first",
                """
                def first_to_warn(noise, attacked):
                    first = (attacked > noise.quantile(0.95, 0)).double().argmax(1)
                    leads = first == first.min(1, keepdim=True).values
                    return (leads / leads.sum(1, keepdim=True)).mean(0)
                """,
                "a lens that never warns counts as",
            ),
            Mistake(
                "one winner",
                """
                def first_to_warn(noise, attacked):
                    alarms = attacked > noise.quantile(0.95, 0)
                    first = torch.where(alarms.any(1), alarms.double().argmax(1), alarms.shape[1])
                    won = torch.nn.functional.one_hot(first.argmin(1), first.shape[1])
                    return won[alarms.flatten(1).any(1)].sum(0) / len(attacked)
                """,
                "You give it to one",
            ),
            Mistake(
                "a whole picture for each",
                """
                def first_to_warn(noise, attacked):
                    alarms = attacked > noise.quantile(0.95, 0)
                    stages = alarms.shape[1]
                    first = torch.where(alarms.any(1), alarms.double().argmax(1), stages)
                    earliest = first.min(1, keepdim=True).values
                    return ((first == earliest) & (earliest < stages)).double().mean(0)
                """,
                "You give it to each",
            ),
            Mistake(
                "nobody's pictures are shared",
                """
                def first_to_warn(noise, attacked):
                    alarms = attacked > noise.quantile(0.95, 0)
                    first = torch.where(alarms.any(1), alarms.double().argmax(1), alarms.shape[1])
                    leads = first == first.min(1, keepdim=True).values
                    return (leads / leads.sum(1, keepdim=True)).mean(0)
                """,
                "that no lens warns of counts for nobody",
            ),
            Mistake(
                "one threshold for all",
                """
                def first_to_warn(noise, attacked):
                    alarms = attacked > noise.flatten().quantile(0.95)
                    stages = alarms.shape[1]
                    first = torch.where(alarms.any(1), alarms.double().argmax(1), stages)
                    earliest = first.min(1, keepdim=True).values
                    leads = (first == earliest) & (earliest < stages)
                    return (leads / leads.sum(1, keepdim=True).clamp(min=1)).mean(0)
                """,
                "one threshold for all lenses",
            ),
            Mistake(
                "no false alarm at all",
                """
                def first_to_warn(noise, attacked):
                    alarms = attacked > noise.amax(0)
                    stages = alarms.shape[1]
                    first = torch.where(alarms.any(1), alarms.double().argmax(1), stages)
                    earliest = first.min(1, keepdim=True).values
                    leads = (first == earliest) & (earliest < stages)
                    return (leads / leads.sum(1, keepdim=True).clamp(min=1)).mean(0)
                """,
                "the threshold is the largest change under noise",
            ),
            Mistake(
                "how often at all",
                """
                def first_to_warn(noise, attacked):
                    return (attacked > noise.quantile(0.95, 0)).any(1).double().mean(0)
                """,
                "Who is *first*?",
            ),
        ),
        test=_first_to_warn,
    ),
    Exercise(
        key="part_units",
        chapter=CHAPTER,
        title="Units that know parts",
        difficulty="open",
        minutes=90,
        task=f"""
            {PARTS} parts live in {WIDTH} neurons, each as a direction, and a cell shows a few of them at a time. Find units that know the
            parts. Write `part_units(learn, ask, units)`: how strongly each of so many units responds to the cells of `ask`, one row
            each. They may learn from `learn`; nobody says which parts are there.

            The check makes fresh parts and {CELLS} cells of each kind. For each part it takes the best of your {UNITS} units on one
            half of `ask`, and asks it on the other, as question 7 does. The mean AUROC must reach {TELL}, and beat as many random
            projections, which know something about every part already.

            Then it is research. Point your units at `lenses.hear(...)` of a stage, and ask `sparse_units.truths` about them. Do they
            know parts better than those of an untrained network? What if there are as many units as neurons?
            """,
        name="part_units",
        stub='''
            def part_units(learn, ask, units):
                """How strongly units respond: float (N, D), float (M, D), int to (M, units)."""
                ...
            ''',
        hints=(
            "Only a few parts are there at a time. {eq}`eq-topk` is made for that: few units speak, and their directions add up to "
            "the cell.",
            "Take turns. With directions fixed, keep the three largest responses above 0. With these fixed, find the directions that give "
            "the cells back best: least squares. Begin with random directions.",
        ),
        solution='''
            def part_units(learn, ask, units):
                """How strongly units respond: float (N, D), float (M, D), int to (M, units)."""
                mean = learn.mean(0)
                cells = learn - mean
                unit_length = torch.nn.functional.normalize
                rows = unit_length(torch.randn(units, cells.shape[1], dtype=cells.dtype))
                for _ in range(25):
                    values, places = (cells @ rows.T).relu().topk(3)
                    codes = torch.zeros(len(cells), units, dtype=cells.dtype).scatter(1, places, values)
                    # A little on the diagonal: a unit that never spoke has no equation of its own.
                    square = codes.T @ codes + 0.01 * torch.eye(units, dtype=cells.dtype)
                    rows = torch.linalg.solve(square, codes.T @ cells)
                    silent = rows.norm(dim=1) < 1e-6
                    rows[silent] = cells[torch.randint(len(cells), (int(silent.sum()),))]
                    rows = unit_length(rows)
                return (ask - mean) @ rows.T
            ''',
        explanation="""
            The encoder is the decoder turned round here; a sparse autoencoder learns both by gradient descent, and gets as far. Clusters
            of directions, which is one active unit, get nearly there. The mean matters, and so does the number of units: with
            fewer units than parts some parts share one. Random projections stand at about 0.85: the best of many is chosen, and
            even a random one knows something.
            """,
        mistakes=(
            Mistake(
                "random projections",
                """
                def part_units(learn, ask, units):
                    return ask @ torch.randn(ask.shape[1], units, dtype=ask.dtype)
                """,
                "no better than random projections",
            ),
            Mistake(
                "neurons, twice",
                """
                def part_units(learn, ask, units):
                    return ask.repeat(1, 2)
                """,
                "no better than random projections",
            ),
            Mistake(
                "principal axes",
                """
                def part_units(learn, ask, units):
                    axes = torch.linalg.eigh(torch.cov(learn.T)).eigenvectors
                    return ((ask - learn.mean(0)) @ axes).repeat(1, 2)
                """,
                "no better than random projections",
            ),
            Mistake(
                "units of the wrong cells",
                """
                def part_units(learn, ask, units):
                    return learn @ torch.randn(ask.shape[1], units, dtype=ask.dtype)
                """,
                "do not belong to the cells",
            ),
            Mistake(
                "one answer for all",
                """
                def part_units(learn, ask, units):
                    return torch.ones(len(ask), units)
                """,
                "the same to every cell",
            ),
        ),
        test=_part_units,
    ),
)
