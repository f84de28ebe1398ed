"""The exercises of chapter 04: packed features, layers of dropout, slopes of spectra, their bias, smoothness, hidden redundancy."""

import math

import torch
from torch import Tensor

from innercodes import spectra
from innercodes.exercises.protocol import (
    Exercise,
    Mistake,
    between,
    call,
    close,
    function,
    made_codes,
    normal,
    numbers,
    require,
    rotation,
    whole,
)

CHAPTER = "04_coding_spectra"

# By hand

BITS, ABSENT = 16, 0.9
"""Of the first exercise: bits of a feature that is there, and how often one is not."""


def _by_hand(answer: object, generator: torch.Generator) -> str:
    mine = numbers(answer, ())
    # Counting: n features, a tenth of them there. Which ones, and then BITS for each. No entropy in it.
    n = whole(generator, 20_000, 100_000)
    there = round((1 - ABSENT) * n)
    patterns = math.lgamma(n + 1) - math.lgamma(there + 1) - math.lgamma(n - there + 1)
    needed = (there * BITS + patterns / math.log(2)) / BITS / n
    which = -(ABSENT * math.log2(ABSENT) + (1 - ABSENT) * math.log2(1 - ABSENT))
    typical = [
        (1 - ABSENT, "these units hold the features that are there. Which ones are there? That must be said too."),
        (ABSENT, "S is how often a feature is absent; the features that are there are the others."),
        (1 - ABSENT + which, "you count bits as units: a unit holds 16 bits."),
        ((1 - ABSENT) * BITS + which, "these are bits per feature; a unit holds 16 of them."),
        (1 - ABSENT + which * math.log(2) / BITS, "the logarithm is to base 2: bits, not nats."),
        (which / BITS, "you count which features are there, and leave out what they are."),
        (ABSENT + which / BITS, "S is how often a feature is absent; the features that are there are the others."),
        (1 / needed, "this is upside down: units per feature, not features per unit."),
        (1.0, "this is room for every feature. Most are absent."),
    ]
    require(
        abs(float(mine) - needed) < 0.005,
        f"counted for {n:,} features, another number of units per feature is needed than {float(mine):.3g}: "
        + ("yours are too few." if mine < needed else "yours are more than it takes."),
        mine,
        typical,
        2e-3,
    )
    return f"the messages of {n:,} such features, counted one by one, need as many units per feature."


# Layers of dropout


def _dropout_layers(answer: object, generator: torch.Generator) -> str:
    own = function(answer)
    trials = 1500
    for layers in (3, 1, whole(generator, 4, 6)):
        units, rate = whole(generator, 100, 300), between(generator, 0.1, 0.35)
        example = f"for {units} units, {layers} layer{'s' * (layers > 1)} and a dropout rate of {rate:.2g}"
        mine = call(own, units, rate, layers, shape=(2,), example=example)
        # Counting units: a lost one stays lost, or is mended before the next layer.
        kept = torch.rand(layers, trials, units, generator=generator) >= rate
        counts = [kept.all(0).sum(-1).double(), kept.sum(-1).double().flatten()]
        left = 1 - rate
        plain, mended = units * left**layers, units * left
        typical = [
            ((units * rate**layers, units * rate), "the rate is the share that is *lost*."),
            ((plain, plain), "with repair, a loss is paid for once: the next layer begins with a whole code again."),
            ((mended, plain), "the order: first without repair, then with it."),
            (
                (plain, units),
                "repair brings the message back, not the room: a code needs spare units to be mended from.",
            ),
            ((mended, mended), "without repair, every layer takes its share of what is left."),
            (
                (units * (1 - layers * rate), mended),
                "a second layer takes its share of what is *left*, not of all units.",
            ),
            ((left**layers, left), "these are shares; units are wanted."),
        ]
        for i, (which, counted) in enumerate(zip(("without repair", "with repair"), counts, strict=True)):
            error = 6 * float(counted.std()) / len(counted) ** 0.5 + 1e-6 * units
            found, wanted = float(mine[i]), float(counted.mean())
            side = "fewer" if found > wanted else "more"
            what = f"{example}, {which}: counted over {trials} messages there are {side} units than your {found:.3g}."
            require(abs(found - wanted) <= error, what, mine, typical)
    return "counted over thousands of messages, as many units are left, with repair and without."


# The slope of a spectrum


def _spectrum_slope(answer: object, generator: torch.Generator) -> str:
    own = function(answer)

    def slope(acts: Tensor, low: int, high: int, example: str) -> Tensor:
        return call(own, acts, low, high, shape=(), example=example)

    for _ in range(3):
        size, low, high = 40, whole(generator, 4, 7), whole(generator, 20, 30)
        alpha, scale = between(generator, -2.5, -0.5), between(generator, 0.2, 5)
        ranks = torch.arange(1, size + 1).double()
        variances = scale * ranks**alpha
        # Off the line outside of the window, by so much that a window off by one rank is seen.
        variances[: low - 1] *= 8
        variances[high:] /= 8
        acts = made_codes(generator, 60, variances)
        example = f"for a power law over the ranks {low} to {high}"
        mine = slope(acts, low, high, example)
        inside = slice(low - 1, high)
        second = torch.linalg.eigvalsh(acts.T @ acts).flip(0)
        shifted = torch.arange(1, high - low + 2).double()
        typical = [
            (_slope(ranks[inside], second[inside]), "the mean is not taken away: variances are about the mean."),
            (alpha / 2, "these are singular values, not squared: a variance is the square of one, and the slope twice as steep."),
            (2 * alpha, "variances are squared once too often: eigenvalues are variances already."),
            (-alpha, "the sign: variances fall with rank, so that the slope is below 0."),
            (_slope(ranks[inside], variances[low : high + 1]), "the window is off by one: ranks begin at 1, indices at 0."),
            (_slope(ranks[inside], variances[low - 2 : high - 1]), "the window is off by one: ranks begin at 1, indices at 0."),
            (_slope(ranks[low - 1 : high - 1], variances[low - 1 : high - 1]), "the last rank of the window is left out."),
            (_slope(shifted, variances[inside]), "ranks count from the first variance, not from the first one of the window."),
            (_slope(ranks, variances), "the window is not used: only the ranks from `low` to `high` count."),
            (_slope(ranks[inside], variances.flip(0)[inside]), "the variances are sorted from the smallest. Rank 1 is the largest."),
            (alpha * math.log(10), "two different logarithms: take the same one of ranks and of variances."),
            (alpha / math.log(10), "two different logarithms: take the same one of ranks and of variances."),
            (_slope(ranks[inside].exp(), variances[inside]), "take the logarithm of the ranks too."),
            (_slope(ranks[inside].exp(), variances[inside].exp()), "take the logarithm of both, ranks and variances."),
        ]  # fmt: skip
        for other, what in (
            (acts * between(generator, 2, 9), "all activations scaled by one number"),
            (acts @ rotation(generator, size), "the activations turned"),
            (acts + 20 * normal(generator, size), "the same vector added to all activations"),
        ):
            found = slope(other, low, high, f"{example}, with {what}")
            require(close(found, mine, 1e-2), f"with {what}, the slope must stay; yours changes.", mine, typical, 1e-5)
        require(
            abs(float(mine) - alpha) < 0.01,
            f"{example}, bent outside of it, yours gives {float(mine):.3g}, which is not the slope in the window.",
            mine,
            typical,
            1e-5,
        )
    return "made spectra give their own slope back, turned, scaled and moved."


def _slope(ranks: Tensor, variances: Tensor) -> float:
    """Slope of a least-squares line through log variance on log rank."""
    x, y = (values.log() - values.log().mean() for values in (ranks, variances))
    return float((x * y).sum() / x.square().sum())


# Few pictures


def _many_pictures(answer: object, generator: torch.Generator) -> str:
    own = function(answer)
    for twice in (True, False, False, False):
        few = whole(generator, 200, 1500)
        many = 2 * few if twice else few + whole(generator, 3 * few, 8 * few)
        alpha, bias = between(generator, -2.5, -0.5), between(generator, 60, 200)
        seen = [alpha + bias / count for count in (few, many)]
        example = f"for {seen[0]:.3f} from {few} pictures and {seen[1]:.3f} from {many}"
        mine = call(own, few, seen[0], many, seen[1], shape=(), example=example)
        weight = few / many
        typical = [
            (sum(seen) / 2, "the mean of both is biased too. Go on beyond the better one."),
            (seen[1], "the better one alone is still biased. Go on in the direction in which it moved."),
            (2 * seen[0] - seen[1], "this goes back towards fewer pictures. More pictures are wanted."),
            (2 * seen[1] - seen[0], "this takes the second count for twice the first. Here it is not."),
            ((many * seen[1] + few * seen[0]) / (many + few), "a mean lies between the two. Go on beyond the better one."),
            (seen[1] + weight * (seen[1] - seen[0]), "the step beyond is too short. By how much did the bias shrink?"),
        ]  # fmt: skip
        require(
            abs(float(mine) - alpha) < 1e-3,
            f"{example}, a bias of b / N gives another number without bias than your {float(mine):.3f}.",
            mine,
            typical,
            1e-4,
        )
        move = between(generator, 1, 2)
        moved = call(own, few, seen[0] + move, many, seen[1] + move, shape=(), example=example)
        require(close(moved, mine + move, 1e-3), "both exponents larger by one number: the result must be so too.")
    return "a bias that falls as 1 / N is gone, whatever the two counts."


# Smoothness


def _mean_action(answer: object, generator: torch.Generator) -> str:
    own = function(answer)
    frames, size, dimensions = whole(generator, 8, 14), whole(generator, 20, 40), whole(generator, 1, 4)
    # A path that wanders while its steps differ in size: neither scatter nor open ends can be taken for the action.
    acts = normal(generator, frames, size).cumsum(0) + 3 * normal(generator, size)
    example = f"for {frames} frames of {size} units in {dimensions} dimension{'s' * (dimensions > 1)}"

    def mean(acts: Tensor, dimensions: int = dimensions, example: str = example) -> Tensor:
        return call(own, acts, dimensions, shape=(), example=example)

    mine = mean(acts)
    steps = acts - acts.roll(1, 0)
    half = steps.square().sum() / 2
    scatter = (acts - acts.mean(0)).square().sum()
    share = dimensions / size
    typical = [
        (
            share / 2 * scatter / frames,
            "this is how far projections *scatter* (equation 4). The action is about steps.",
        ),
        (
            share / 2 * scatter / (frames - 1),
            "this is how far projections *scatter* (equation 4). The action is about steps.",
        ),
        (2 * share * half, "the action is *half* the sum of squared steps."),
        (half, "this is the action of the activations themselves. What does a projection leave of a squared length?"),
        (half / size, "one direction is counted, the projection has more."),
        (dimensions * half, "each direction is counted, but the weights have the variance 1 / m."),
        (
            share * steps[1:].square().sum() / 2,
            "the step from the last frame to the first is missing: the path is closed.",
        ),
        (share * half / frames, "a sum over the steps is wanted, not their mean."),
    ]
    again = mean(acts)
    require(
        bool(again == mine),
        "twice the same path, and yours gives two numbers. Do not draw projections: work out their mean.",
        mine,
        typical,
    )
    paths = spectra.random_projections(acts, 2000, whole(generator, 0, 10**6), dimensions)
    drawn = spectra.action(paths)
    error = 6 * float(drawn.std()) / len(drawn) ** 0.5
    side = "smaller" if float(mine) > float(drawn.mean()) else "larger"
    require(
        abs(float(mine - drawn.mean())) <= error,
        f"{example}, the mean action of 2000 random projections is {side} than your {float(mine):.3g}.",
        mine,
        typical,
    )
    exact = (
        (mean(acts + normal(generator, size)), mine, "the same vector added to all frames: no step changes; yours does."),
        (mean(3 * acts), 9 * mine, "three times the activations: steps are three times as long, squares nine times; yours are not."),
        (mean(acts @ rotation(generator, size)), mine, "the activations turned: no length changes; yours does."),
        (mean(acts.flip(0)), mine, "the same path backwards: no step changes its length; yours does."),
        (mean(acts.roll(3, 0)), mine, "the same closed path from another frame on: yours changes."),
        (mean(acts, 2 * dimensions), 2 * mine, "twice as many directions: twice the action; yours is not."),
        (mean(acts.repeat_interleave(2, 0)), mine, "each frame shown twice: the new steps have length 0; yours changes."),
        (mean(torch.cat([acts, 0 * acts], 1)), mine / 2, "as many silent units again: m doubles, no step does; yours is not halved."),
    )  # fmt: skip
    for found, wanted, reason in exact:
        require(abs(float(found - wanted)) <= 1e-4 * abs(float(wanted)), reason, mine, typical)
    return "the mean over thousands of projections, and not one had to be drawn."


# Redundancy that no spectrum shows

MESSAGE, SHOWN, WORDS, FLIPPED, FAIR = 5, 300, 10, 0.03, 0.95
"""Bits of a message, messages shown, codes of each kind, share of values flipped by noise, and the AUROC that is asked for."""


def words_of(generator: torch.Generator, redundant: bool) -> Tensor:
    """What the units of a code say, −1 or 1, float64 (SHOWN, 2^MESSAGE − 1); each value flipped with probability FLIPPED.

    Redundant: all parities of a few message bits. Else a fair coin for each unit. In both, units come in random order and
    with random signs, and any two of them are independent.
    """
    units = 2**MESSAGE - 1
    if redundant:
        places = torch.arange(MESSAGE)
        masks = torch.arange(1, 2**MESSAGE) >> places[:, None] & 1
        messages = torch.randint(0, 2, (SHOWN, MESSAGE), generator=generator)
        bits = (messages @ masks) % 2
    else:
        bits = torch.randint(0, 2, (SHOWN, units), generator=generator)
    flips = torch.rand(SHOWN, units, generator=generator) < FLIPPED
    signs = 1 - 2 * torch.randint(0, 2, (units,), generator=generator)
    said = (1 - 2 * (bits ^ flips.long())) * signs
    return said[:, torch.randperm(units, generator=generator)].double()


def told_apart(high: Tensor, low: Tensor) -> float:
    """AUROC: how often a number of the first list is above one of the second; ties count a half."""
    gaps = high[:, None] - low
    return float(((gaps > 0).double() + 0.5 * (gaps == 0).double()).mean())


def _hidden_redundancy(answer: object, generator: torch.Generator) -> str:
    own = function(answer)
    codes = {kind: [words_of(generator, kind) for _ in range(WORDS)] for kind in (True, False)}
    found = {
        kind: torch.stack([call(own, words, shape=(), example="for a fresh code") for words in every])
        for kind, every in codes.items()
    }
    both = torch.cat([found[True], found[False]])
    require(bool(both.max() > both.min()), "yours gives the same number for every code, redundant or not.")
    shuffled = codes[True][0][:, torch.randperm(2**MESSAGE - 1, generator=generator)]
    again = call(own, shuffled, shape=(), example="for a code in another order")
    require(
        abs(float(again - found[True][0])) <= 1e-6 + 1e-6 * abs(float(again)),
        "the same units in another order, and your number changes. Redundancy does not depend on the order.",
    )
    own_auroc = told_apart(found[True], found[False])
    flat = [
        torch.stack([torch.linalg.eigvalsh(torch.cov(words.T)).square().sum() for words in codes[kind]])
        for kind in (True, False)
    ]
    beside = f"AUROC: yours {own_auroc:.2f}, the spectrum's {told_apart(*flat):.2f}, chance 0.5."
    require(own_auroc > 1 - FAIR, f"it is the other way round: redundant codes must get the larger number. {beside}")
    require(
        own_auroc >= FAIR, f"does not tell redundant codes from fair coins. {beside} Any *two* units are independent."
    )
    return f"your number sees what the spectrum does not. {beside} Now ask it about the layers of this chapter."


EXERCISES = (
    Exercise(
        key="pack_by_hand",
        chapter=CHAPTER,
        title="Pack them by hand",
        difficulty="warm-up",
        minutes=5,
        task="""
            Features of 16 bits are absent in nine cases of ten. A unit holds 16 bits as well. How many units per feature does
            {eq}`eq-compression` ask for? Two decimals are enough.
            """,
        name="mine",
        stub="mine = ...  # units per feature",
        hints=(
            "Two things must be said about each feature: whether it is there, and if so, what it is. How many bits each, on "
            "average?",
            r"$-0.9 \log_2 0.9 - 0.1 \log_2 0.1 \approx 0.469$ bits say whether it is there. Then bits become units.",
        ),
        solution="mine = 0.13",
        explanation=r"""
            $0.1 + 0.469 / 16 \approx 0.129$: about an eighth of a unit. Nearly all of it holds what is there; to say which
            ones are there is cheap.
            """,
        mistakes=(
            Mistake("which ones are there is forgotten", "mine = 0.1", "Which ones are there?"),
            Mistake("sparsity turned round", "mine = 0.9", "S is how often a feature is absent"),
            Mistake("bits added to units", "mine = 0.569", "you count bits as units"),
            Mistake("bits per feature", "mine = 2.069", "these are bits per feature"),
            Mistake("natural logarithm", "mine = 0.1203", "the logarithm is to base 2"),
            Mistake("a guess", "mine = 0.25", "another number of units per feature is needed"),
        ),
        test=_by_hand,
    ),
    Exercise(
        key="dropout_layers",
        chapter=CHAPTER,
        title="Paid once, or in every layer",
        difficulty="easy",
        minutes=15,
        task="""
            A code of `units` units goes through `layers` layers. Each sets every unit silent with probability `rate`; one can see
            which. Write `dropout_layers(units, rate, layers)`, which gives two numbers. First: how many units are left at the end,
            on average, if nothing is repaired? Second: how many are left, on average, when a layer can be repaired from what
            reaches it, and the whole code is sent again? Both follow from {eq}`eq-dropout`, with `units` for $C$.
            """,
        name="dropout_layers",
        stub='''
            def dropout_layers(units, rate, layers):
                """Units left without repair, and with it: int, float, int to two numbers."""
                ...
            ''',
        hints=(
            "One layer first. Then what does the second layer meet?",
            "With repair every layer begins with a whole code. So what matters is a single layer.",
        ),
        solution='''
            def dropout_layers(units, rate, layers):
                """Units left without repair, and with it: int, float, int to two numbers."""
                return units * (1 - rate) ** layers, units * (1 - rate)
            ''',
        explanation="""
            Without repair each layer keeps a share of what is left, so the loss grows with depth. With repair the loss is paid
            once, whatever the depth. It is not for nothing: a message must fit into what one layer leaves, and the rest of the units
            is redundancy.
            """,
        mistakes=(
            Mistake(
                "the rate for what is kept",
                """
                def dropout_layers(units, rate, layers):
                    return units * rate**layers, units * rate
                """,
                "the rate is the share that is *lost*",
            ),
            Mistake(
                "a straight line",
                """
                def dropout_layers(units, rate, layers):
                    return units * (1 - layers * rate), units * (1 - rate)
                """,
                "a second layer takes its share of what is *left*",
            ),
            Mistake(
                "paid again in spite of repair",
                """
                def dropout_layers(units, rate, layers):
                    left = units * (1 - rate) ** layers
                    return left, left
                """,
                "with repair, a loss is paid for once",
            ),
            Mistake(
                "repair for nothing",
                """
                def dropout_layers(units, rate, layers):
                    return units * (1 - rate) ** layers, units
                """,
                "repair brings the message back, not the room",
            ),
            Mistake(
                "order",
                """
                def dropout_layers(units, rate, layers):
                    return units * (1 - rate), units * (1 - rate) ** layers
                """,
                "the order: first without repair",
            ),
            Mistake(
                "shares",
                """
                def dropout_layers(units, rate, layers):
                    return (1 - rate) ** layers, 1 - rate
                """,
                "these are shares",
            ),
        ),
        test=_dropout_layers,
    ),
    Exercise(
        key="spectrum_slope",
        chapter=CHAPTER,
        title="The slope of a spectrum",
        difficulty="medium",
        minutes=25,
        task=r"""
            Write `spectrum_slope(acts, low, high)`: the exponent $\alpha$ of {eq}`eq-alpha`, fitted to the ranks `low` to
            `high`, both included; the largest variance has rank 1. `acts` has a row per picture and a column per unit. A
            least-squares line will do.
            """,
        name="spectrum_slope",
        stub='''
            def spectrum_slope(acts, low, high):
                """Slope of log variance on log rank in a window of ranks: float (N, D), int, int to a number."""
                ...
            ''',
        hints=(
            "Variances along the principal axes: `torch.linalg.eigvalsh` of the covariance. In which order do they come?",
            r"$\log \lambda = \alpha \log k + $ constant. Rank $k$ sits at index $k - 1$.",
        ),
        solution='''
            def spectrum_slope(acts, low, high):
                """Slope of log variance on log rank in a window of ranks: float (N, D), int, int to a number."""
                variances = torch.linalg.eigvalsh(torch.cov(acts.T)).flip(0)
                x = torch.arange(low, high + 1).double().log()
                y = variances[low - 1 : high].log()
                return ((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum()
            ''',
        explanation="""
            `torch.cov` takes the mean away. Whether one divides by N or by N − 1 does not matter here: it moves the line, not its
            slope. The book uses Huber's regression, which a few odd points do not disturb.
            """,
        mistakes=(
            Mistake(
                "singular values",
                """
                def spectrum_slope(acts, low, high):
                    values = torch.linalg.svdvals(acts - acts.mean(0))[low - 1 : high].log()
                    x = torch.arange(low, high + 1).double().log()
                    return ((x - x.mean()) * values).sum() / (x - x.mean()).square().sum()
                """,
                "singular values, not squared",
            ),
            Mistake(
                "sign",
                """
                def spectrum_slope(acts, low, high):
                    values = torch.linalg.eigvalsh(torch.cov(acts.T)).flip(0)[low - 1 : high].log()
                    x = torch.arange(low, high + 1).double().log()
                    return -((x - x.mean()) * values).sum() / (x - x.mean()).square().sum()
                """,
                "the slope is below 0",
            ),
            Mistake(
                "ranks from 0",
                """
                def spectrum_slope(acts, low, high):
                    values = torch.linalg.eigvalsh(torch.cov(acts.T)).flip(0)[low : high + 1].log()
                    x = torch.arange(low, high + 1).double().log()
                    return ((x - x.mean()) * values).sum() / (x - x.mean()).square().sum()
                """,
                "the window is off by one",
            ),
            Mistake(
                "not centred",
                """
                def spectrum_slope(acts, low, high):
                    values = torch.linalg.eigvalsh(acts.T @ acts).flip(0)[low - 1 : high].log()
                    x = torch.arange(low, high + 1).double().log()
                    return ((x - x.mean()) * values).sum() / (x - x.mean()).square().sum()
                """,
                "the mean is not taken away",
            ),
            Mistake(
                "smallest first",
                """
                def spectrum_slope(acts, low, high):
                    values = torch.linalg.eigvalsh(torch.cov(acts.T))[low - 1 : high].log()
                    x = torch.arange(low, high + 1).double().log()
                    return ((x - x.mean()) * values).sum() / (x - x.mean()).square().sum()
                """,
                "sorted from the smallest",
            ),
            Mistake(
                "ranks without logarithm",
                """
                def spectrum_slope(acts, low, high):
                    values = torch.linalg.eigvalsh(torch.cov(acts.T)).flip(0)[low - 1 : high].log()
                    x = torch.arange(low, high + 1).double()
                    return ((x - x.mean()) * values).sum() / (x - x.mean()).square().sum()
                """,
                "take the logarithm of the ranks too",
            ),
            Mistake(
                "two logarithms",
                """
                def spectrum_slope(acts, low, high):
                    values = torch.linalg.eigvalsh(torch.cov(acts.T)).flip(0)[low - 1 : high].log()
                    x = torch.arange(low, high + 1).double().log10()
                    return ((x - x.mean()) * values).sum() / (x - x.mean()).square().sum()
                """,
                "two different logarithms",
            ),
        ),
        test=_spectrum_slope,
    ),
    Exercise(
        key="many_pictures",
        chapter=CHAPTER,
        title="As if there were more pictures",
        difficulty="medium",
        minutes=15,
        task=r"""
            An exponent from $N$ pictures has a bias. Suppose that it falls as $b / N$, with an unknown $b$. You have measured
            two exponents, with two counts of pictures. Write `many_pictures(few, alpha_few, many, alpha_many)`: the exponent
            without bias. The second count need not be twice the first.
            """,
        name="many_pictures",
        stub='''
            def many_pictures(few, alpha_few, many, alpha_many):
                """The exponent of infinitely many pictures: int, float, int, float to a number."""
                ...
            ''',
        hints=(
            "Two equations, two unknowns: each measured exponent is the true one plus its bias.",
            r"Multiply each equation by its count. Then $b$ stands alone in both, and taking one from the other removes it.",
        ),
        solution='''
            def many_pictures(few, alpha_few, many, alpha_many):
                """The exponent of infinitely many pictures: int, float, int, float to a number."""
                return (many * alpha_many - few * alpha_few) / (many - few)
            ''',
        explanation=r"""
            $N \hat\alpha(N) = N \alpha + b$ for both counts. With $2N$ and $N$ this is the chapter's
            $2 \hat\alpha(2N) - \hat\alpha(N)$. The supposition is only roughly true: with 2000 pictures about half of the bias
            goes, with 200 none.
            """,
        mistakes=(
            Mistake(
                "the mean",
                """
                def many_pictures(few, alpha_few, many, alpha_many):
                    return (alpha_few + alpha_many) / 2
                """,
                "the mean of both is biased too",
            ),
            Mistake(
                "the wrong way",
                """
                def many_pictures(few, alpha_few, many, alpha_many):
                    return 2 * alpha_few - alpha_many
                """,
                "this goes back towards fewer pictures",
            ),
            Mistake(
                "always twice as many",
                """
                def many_pictures(few, alpha_few, many, alpha_many):
                    return 2 * alpha_many - alpha_few
                """,
                "takes the second count for twice the first",
            ),
            Mistake(
                "the better one",
                """
                def many_pictures(few, alpha_few, many, alpha_many):
                    return alpha_many
                """,
                "the better one alone is still biased",
            ),
            Mistake(
                "a line in N",
                """
                def many_pictures(few, alpha_few, many, alpha_many):
                    slope = (alpha_many - alpha_few) / (many - few)
                    return alpha_few - slope * few
                """,
                "this goes back towards fewer pictures",
            ),
        ),
        test=_many_pictures,
    ),
    Exercise(
        key="mean_action",
        chapter=CHAPTER,
        title="All projections at once",
        difficulty="hard",
        minutes=35,
        task=r"""
            The activations $A$ of $n$ frames are projected, $z = A r$, with weights $r \sim N(0, 1/m)$, $m$ the number of units.
            The action is half the sum of the squared steps of $z$, the step from the last frame to the first included. Write
            `mean_action(acts, dimensions)`: its mean over *all* projections to so many dimensions. Draw none: the mean can be
            worked out. `acts` has a row per frame.
            """,
        name="mean_action",
        stub='''
            def mean_action(acts, dimensions):
                """Mean action of random projections of a closed path: float (n, m), int to a number."""
                ...
            ''',
        hints=(
            r"A step of $z$ is a step of $A$, projected. What is the mean of $(a \cdot r)^2$ over $r$, for a fixed row $a$?",
            "One direction keeps, on average, 1 / m of a squared length. How many directions are there?",
        ),
        solution='''
            def mean_action(acts, dimensions):
                """Mean action of random projections of a closed path: float (n, m), int to a number."""
                steps = acts - acts.roll(1, 0)
                return dimensions / acts.shape[1] * steps.square().sum() / 2
            ''',
        explanation=r"""
            $\langle (a \cdot r)^2 \rangle = \lVert a \rVert^2 / m$ in each direction. So the mean action is
            $\text{dimensions} / m$ times that of the activations. It is about *steps*. The paper's fourth equation has variances
            instead, $\tfrac12 \sum \lambda$: how far projected points scatter.
            """,
        mistakes=(
            Mistake(
                "equation 4",
                """
                def mean_action(acts, dimensions):
                    return dimensions / (2 * acts.shape[1]) * torch.cov(acts.T).trace()
                """,
                "this is how far projections *scatter*",
            ),
            Mistake(
                "no half",
                """
                def mean_action(acts, dimensions):
                    return dimensions / acts.shape[1] * (acts - acts.roll(1, 0)).square().sum()
                """,
                "the action is *half* the sum",
            ),
            Mistake(
                "no projection",
                """
                def mean_action(acts, dimensions):
                    return (acts - acts.roll(1, 0)).square().sum() / 2
                """,
                "this is the action of the activations themselves",
            ),
            Mistake(
                "an open path",
                """
                def mean_action(acts, dimensions):
                    return dimensions / acts.shape[1] * acts.diff(dim=0).square().sum() / 2
                """,
                "the step from the last frame to the first is missing",
            ),
            Mistake(
                "drawn",
                """
                def mean_action(acts, dimensions):
                    weights = torch.randn(500, acts.shape[1], dimensions, dtype=acts.dtype) / acts.shape[1] ** 0.5
                    paths = acts @ weights
                    return (paths - paths.roll(1, 1)).square().sum((1, 2)).mean() / 2
                """,
                "Do not draw projections",
            ),
        ),
        test=_mean_action,
    ),
    Exercise(
        key="hidden_redundancy",
        chapter=CHAPTER,
        title="A code that hides",
        difficulty="open",
        minutes=90,
        task="""
            The parity code has a flat spectrum, and yet a few bits determine all of its units. Find a number that sees it. Write
            `redundancy(words)`: `words` has a row per message and a column per unit, all −1 or 1. The number must be larger for
            redundant codes than for codes of independent fair coins.

            The check makes ten fresh codes of each kind, of 31 units and 300 messages. Units come in random order and with
            random signs, and 3 % of all values are flipped. Your number must put a redundant code above a fair one in 95 of 100
            pairs (AUROC 0.95). The spectrum does no better than chance.

            Then it is research. Turn the units of a layer into −1 and 1 by their medians, and ask your number. What would be the
            fair baseline for a layer whose units *are* correlated?
            """,
        name="redundancy",
        stub='''
            def redundancy(words):
                """A number that is larger for redundant codes: float (N, n) of -1 and 1 to a number."""
                ...
            ''',
        hints=(
            "A spectrum knows about pairs of units. What about three of them?",
            "If one unit is the parity of two others, what is the product of all three, message by message?",
        ),
        solution='''
            def redundancy(words):
                """A number that is larger for redundant codes: float (N, n) of -1 and 1 to a number."""
                pairs = words[:, :, None] * words[:, None, :]
                triples = torch.tensordot(pairs, words, dims=([0], [0])) / len(words)
                first, second = torch.triu_indices(words.shape[1], words.shape[1], 1)
                others = triples[first, second]
                # A unit times itself is always 1: only three different units count.
                others[torch.arange(len(first)), first] = 0
                others[torch.arange(len(first)), second] = 0
                return others.abs().max()
            ''',
        explanation=r"""
            For parities $a$, $b$ and $a \oplus b$ the product of the three never changes but for noise: its mean is
            $\pm 0.94^3 \approx \pm 0.83$. For fair coins the largest of 4495 such means is about 0.22. Third moments see what second
            ones can not. A code may hide from them as well. Other ways work too: read a unit from all the others, or count
            how often messages repeat.
            """,
        mistakes=(
            Mistake(
                "the spectrum",
                """
                def redundancy(words):
                    return torch.linalg.eigvalsh(torch.cov(words.T)).square().sum()
                """,
                "does not tell redundant codes from fair coins",
            ),
            Mistake(
                "the largest correlation of two units",
                """
                def redundancy(words):
                    return (torch.corrcoef(words.T) - torch.eye(words.shape[1]).double()).abs().max()
                """,
                "does not tell redundant codes from fair coins",
            ),
            Mistake(
                "the rank",
                """
                def redundancy(words):
                    return -torch.linalg.matrix_rank(words)
                """,
                "the same number for every code",
            ),
            Mistake(
                "the other way round",
                """
                def redundancy(words):
                    pairs = words[:, :, None] * words[:, None, :]
                    triples = torch.tensordot(pairs, words, dims=([0], [0])) / len(words)
                    return -triples.abs().quantile(0.97)
                """,
                "it is the other way round",
            ),
            Mistake(
                "the first units alone",
                """
                def redundancy(words):
                    return words[:, :9].prod(1).mean() + words[:, 0].mean()
                """,
                "the same units in another order",
            ),
        ),
        test=_hidden_redundancy,
    ),
)
