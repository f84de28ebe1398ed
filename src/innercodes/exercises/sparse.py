"""The exercises of chapter 02: dividends, zeros that masking makes, ORs, the exponent of the proof, and short lists."""

import torch
from torch import Tensor

from innercodes import interactions
from innercodes.exercises.protocol import (
    Exercise,
    Mistake,
    NotYet,
    between,
    call,
    close,
    function,
    normal,
    numbers,
    require,
    whole,
)

CHAPTER = "02_sparse_interactions"


def group_name(group: int, n: int) -> str:
    """A group of players as letters: 5 of three players is {A, C}."""
    members = [chr(ord("A") + i) for i in range(n) if group >> i & 1]
    return "{" + ", ".join(members) + "}" if members else "the empty group"


def _first(wrong: Tensor) -> int:
    """The smallest group where something is wrong, bool (2^n,): fewest members first."""
    n = interactions.players(wrong)
    size = interactions.orders(n)
    return min(wrong.nonzero().flatten().tolist(), key=lambda group: (int(size[group]), group))


# By hand

BY_HAND = (4.0, 9.0, 6.0, 17.0, 1.0, 14.0, 3.0, 13.0)
"""The game of the first exercise, in binary order: empty, A, B, AB, C, AC, BC, ABC."""


def _by_hand(answer: object, generator: torch.Generator) -> str:
    mine = numbers(answer, (8,))
    outputs = torch.tensor(BY_HAND, dtype=torch.float64)
    sums = interactions.reconstruct(mine)
    wrong = (sums - outputs).abs() > 1e-6
    if wrong.any():
        by_size = torch.tensor([0, 1, 2, 4, 3, 5, 6, 7])
        singles = torch.tensor([1, 2, 4])
        largest = outputs[7] - outputs[[3, 5, 6]].sum()
        if close(mine, outputs):
            raise NotYet("these are the outputs themselves. Take away from each what its parts already explain.")
        if close(interactions.reconstruct(mine[by_size]), outputs):
            raise NotYet("the order is not that of the task: {A, B} comes before C.")
        if mine[0] == 0:
            raise NotYet("the empty group has an interaction too: what is there when nobody comes?")
        if close(mine[singles], outputs[singles]):
            raise NotYet("the empty group is a part of every group, also of a single player. Take it away there too.")
        if close(mine[:7], interactions.harsanyi(outputs)[:7]):
            # Only the largest group is wrong: say why, where it can be seen.
            if close(mine[7], largest):
                raise NotYet(
                    "{A, B, C}: you take away the *outputs* of the pairs. Take away the interactions of all parts."
                )
            if close(mine[7], outputs[7] - mine[[0, 1, 2, 4]].sum()):
                raise NotYet("{A, B, C}: the pairs are parts of it too. Take their interactions away as well.")
        group = _first(wrong)
        name = group_name(group, 3)
        raise NotYet(
            f"the interactions of {name} and of all its parts must add up to its output; yours add up to "
            f"{float(sums[group]):g}."
        )
    return "added up over all parts, your eight interactions give all eight outputs."


# Dividends of any game

_NO_SIGNS = "all signs are plus in yours: parts with an odd number of members missing count with a minus."
_OWN_SIZE = (
    "the wrong sign for groups of odd size: it must depend on how many members are *missing*, |S| − |T|, not on |T|."
)
_TURNED = "all signs are turned round: the group itself, T = S, must count plus."
_ABOVE = "you add over groups that *contain* S; the sum goes over its parts."
_ALL_MINUS = "you take away the outputs of all parts, each with a minus. Some of them must come back with a plus."
_CENTRED = "the output of the empty group is left out: its interaction is that output itself."
_OUTPUTS = "yours gives the outputs back, unchanged."


def _typical_dividends(outputs: Tensor) -> list[tuple[Tensor, str]]:
    right, n = interactions.harsanyi(outputs), interactions.players(outputs)
    size = interactions.orders(n)
    above = outputs.flip(-1)
    return [
        (outputs, _OUTPUTS),
        (interactions.reconstruct(outputs), _NO_SIGNS),
        (right * (-1.0) ** size, _OWN_SIZE),
        (-right, _TURNED),
        (interactions.harsanyi(above).flip(-1), _ABOVE),
        (interactions.reconstruct(above).flip(-1), _ABOVE),
        (2 * outputs - interactions.reconstruct(outputs), _ALL_MINUS),
        (interactions.harsanyi(outputs - outputs[0]), _CENTRED),
    ]


def _dividends(answer: object, generator: torch.Generator) -> str:
    own = function(answer)
    # Three players first: with one or two, some mistakes do not show.
    for n in (3, 1, 2, 4, 5):
        outputs = normal(generator, 2**n)
        example = f"for random outputs of {n} player{'s' * (n > 1)}"
        mine = call(own, outputs, shape=(2**n,), example=example)
        typical = _typical_dividends(outputs)
        wrong = (interactions.reconstruct(mine) - outputs).abs() > 1e-4
        if wrong.any():
            group = group_name(_first(wrong), n)
            what = f"{example}, the interactions inside {group} must add up to the output of {group}; yours do not."
            require(False, what, mine, typical)
    n = whole(generator, 2, 4)
    dummy = whole(generator, 0, n - 1)
    groups = torch.arange(2**n)
    outputs = normal(generator, 2**n)[groups & ~(1 << dummy)]
    mine = call(own, outputs, shape=(2**n,), example=f"for a game of {n} players with a dummy")
    holds = (groups >> dummy & 1).bool()
    require(
        bool((mine[holds].abs() < 1e-4).all()),
        f"player {chr(ord('A') + dummy)} of {n} never changes the output; every interaction with this player must be 0.",
    )
    first, second = normal(generator, 2, 2**n)
    parts = [call(own, one, shape=(2**n,), example="for a random game") for one in (first, second, first + second)]
    require(close(parts[0] + parts[1], parts[2]), "two games added: their interactions must add too; yours do not.")
    return "outputs rebuilt, dummies at 0, games add: these are the Harsanyi interactions."


# Zeros that masking makes


def _forced_zeros(answer: object, generator: torch.Generator) -> str:
    own = function(answer)
    # The mask value 0 first; then another, so that a 0 in the input means nothing.
    for mask_value in (0.0, 0.0, 0.5, between(generator, -2, 2)):
        n = whole(generator, 3, 5)
        levels = torch.tensor([mask_value, 0.0 if mask_value else 1.0, -1.0], dtype=torch.float64)
        # A dummy and two that are none at least, so that every mistake shows.
        kinds = torch.cat([torch.tensor([0, 1, 2]), torch.randint(3, (n - 3,), generator=generator)])
        x = levels[kinds[torch.randperm(n, generator=generator)]]
        shown = ", ".join(f"{value:.2g}" for value in x.tolist())
        example = f"for the input ({shown}) and the mask value {mask_value:.2g}"
        mine = call(own, x, mask_value, shape=(2**n,), example=example, truths=True)
        members = interactions.coalitions(n)
        inputs = torch.where(members, x, mask_value)
        # A network about which nothing is known: some output for each input that it can tell apart.
        different, which = torch.unique(inputs, dim=0, return_inverse=True)
        outputs = normal(generator, 3, len(different))[:, which]
        zero = (interactions.harsanyi(outputs).abs() < 1e-9).all(0)
        if not torch.equal(mine, zero):
            _explain_zeros(mine, zero, members, x, mask_value, example)
    return "every group with a dummy is marked, and no other: these zeros say nothing about a network."


def _explain_zeros(mine: Tensor, zero: Tensor, members: Tensor, x: Tensor, mask_value: float, example: str) -> None:
    dummies, n = x == mask_value, len(x)
    alone, filled = ~(members & ~dummies).any(-1), (members & ~dummies).any(-1)
    not_empty = members.any(-1)
    typical = [
        (
            zero | ~not_empty,
            "the empty group is marked: its interaction is the output when all is masked, and need not be 0.",
        ),
        (alone, "you mark groups made of dummies *alone*. Is one dummy in a group not enough?"),
        (alone & not_empty, "you mark groups made of dummies *alone*. Is one dummy in a group not enough?"),
        (~zero, "it is the other way round: you mark the groups without a dummy."),
        (~zero & not_empty, "it is the other way round: you mark the groups without a dummy."),
        (filled, "you mark the groups that hold an input which masking changes. Those can interact."),
        ((members & (x == 0)).any(-1), f"you look for inputs that are 0; here a masked input holds {mask_value:.2g}."),
    ]
    for guess, reason in typical:
        if torch.equal(mine, guess):
            raise NotYet(reason)
    group = _first(mine != zero)
    name = group_name(group, n)
    if mine[group]:
        raise NotYet(f"{example}, you mark {name}; but a network with random outputs has an interaction there.")
    raise NotYet(f"{example}, you leave {name} out; it was 0 for each of three networks with random outputs.")


# An OR as ANDs


def _or_as_ands(answer: object, generator: torch.Generator) -> str:
    own = function(answer)
    for n in (3, 2, 4, 5):
        size = whole(generator, 2, max(2, n - 1))
        members = sorted(torch.randperm(n, generator=generator)[:size].tolist())
        example = f"for the players {members} of {n}"
        mine = call(own, members, n, shape=(2**n,), example=example)
        mask = sum(1 << i for i in members)
        groups, order = torch.arange(2**n), interactions.orders(n)
        inside, outputs = (groups & ~mask) == 0, ((groups & mask) != 0).double()
        sums = interactions.reconstruct(mine)
        wrong = (sums - outputs).abs() > 1e-6
        if wrong.any():
            signs = -((-1.0) ** order)
            whole_set = torch.where(order > 0, signs, 0)
            ands = torch.where(inside, whole_set, 0)
            typical = [
                (ands.abs(), "two members bring 2 in yours. The pair must take back what is counted twice."),
                (-ands, "the signs are turned round: a single member must bring +1."),
                (torch.where(inside, signs, 0), "the empty group: when nobody is there the output is 0."),
                (ands * (order == 1), "two members bring 2 in yours. The pair must take back what is counted twice."),
                (ands * (order <= 2), "pairs are mended, but all three members together do not bring 1."),
                (whole_set, "players outside the OR have interactions in yours. They change nothing."),
                (torch.where(groups == mask, 1.0, 0.0), "this is one AND: it acts only when *all* members are there."),
                (outputs, "these are the outputs of the OR, not its interactions."),
            ]
            name = group_name(_first(wrong), n)
            what = f"{example} (A is player 0), your ANDs inside {name} add up to {float(sums[_first(wrong)]):g}."
            require(False, what, mine, typical)
    return "your ANDs act like the OR for every group."


# The exponent of the proof


def _exponent(answer: object, generator: torch.Generator) -> str:
    own = function(answer)

    def exponent(outputs: Tensor, example: str) -> Tensor:
        return call(own, outputs, shape=(), example=example)

    n = whole(generator, 4, 6)
    order = interactions.orders(n).double()
    power, start, height = between(generator, 0.4, 2.5), between(generator, 1, 3), between(generator, 1.5, 4)
    plain = order**power
    mine = exponent(plain, example := f"for outputs |S|^q of {n} players")
    sizes = torch.arange(1, n + 1, dtype=torch.float64)
    counts = torch.bincount(order.long()).double()[1:]
    summed = sizes**power * counts
    typical = [
        (power * torch.log(sizes[-1]), "divide the logarithm of the growth by log m: the bound is m^p, not e^p."),
        ((torch.log(summed / summed[0])[1:] / torch.log(sizes)[1:]).max(), "take the *mean* over the groups of m players, not the sum."),
        (-power, "the sign is turned round: means that grow have a p above 0."),
        (1 / power, "this is upside down: how large is log of the growth, in units of log m?"),
    ]  # fmt: skip
    require(
        close(mine, torch.tensor(power).double(), 1e-3),
        f"{example}, means grow as m^q, so that p is q; yours is not.",
        mine,
        typical,
    )
    moved = exponent(plain + start, f"{example} plus a constant")
    require(close(moved, mine, 1e-3), "a constant on all outputs changes your p. Take v of the empty group away first.")
    scaled = exponent(plain * height, f"{example} times a constant")
    require(close(scaled, mine, 1e-3), "outputs times a constant change your p. Divide the means by that of order 1.")
    for _ in range(8):
        # Steps of very different size, so that the order that decides is now here, now there; and what no mean shows.
        means = torch.cat([torch.zeros(1), (1.5 * normal(generator, n)).exp().cumsum(0)])
        apart = normal(generator, 2**n)
        apart -= interactions.order_means(apart)[order.long()]
        outputs = means[order.long()] + means[1] * apart
        example = f"for random outputs of {n} players whose means rise"
        p = float(exponent(outputs, example))
        means = means[1:]
        broken = means[0] * sizes**p < means * (1 - 1e-4)
        if broken.any():
            raise NotYet(f"{example}, your p is too small: the bound breaks at order {int(broken.nonzero()[0]) + 1}.")
        smaller = means[0] * sizes ** (p - 0.01) >= means
        require(
            not bool(smaller[1:].all()),
            f"{example}, your p is too large: a smaller one keeps the bound at every order.",
        )
    return "the bound holds at every order, and breaks for any smaller p."


# A shorter list

LIST_PLAYERS, LIST_TERMS, LIST_GAMES, LIST_LEAD = 7, 6, 6, 0.05
"""Players, groups allowed, games, and the R² by which an answer must lead."""


def cancelling_game(generator: torch.Generator) -> Tensor:
    """Outputs of `LIST_PLAYERS` players that are short in another language: three ORs, two ANDs and a little noise, (2^n,)."""
    n = LIST_PLAYERS
    groups = torch.arange(2**n)
    outputs = 0.05 * normal(generator, 2**n)
    for size in (5, 4, 3):
        mask = _random_mask(generator, n, size)
        outputs += between(generator, 0.5, 1.5) * ((groups & mask) != 0)
    for size in (2, 3):
        mask = _random_mask(generator, n, size)
        outputs += between(generator, 0.5, 1.5) * ((groups & mask) == mask)
    return outputs


def _random_mask(generator: torch.Generator, n: int, size: int) -> int:
    return sum(1 << i for i in torch.randperm(n, generator=generator)[:size].tolist())


def explained(outputs: Tensor, interactions_: Tensor) -> float:
    """R² over all masks of the outputs rebuilt from these interactions, the one of the empty group included."""
    residual = (outputs - interactions.reconstruct(interactions_)).square().sum()
    return float(1 - residual / (outputs - outputs.mean()).square().sum())


def refitted(outputs: Tensor, chosen: Tensor) -> Tensor:
    """The best interactions of the chosen groups (k,) and the empty one, by least squares: (2^n,)."""
    columns = interactions.reconstruct(torch.eye(len(outputs), dtype=outputs.dtype)).T
    kept = torch.unique(torch.cat([torch.zeros(1, dtype=torch.int64), chosen]))
    result = torch.zeros_like(outputs)
    result[kept] = torch.linalg.lstsq(columns[:, kept], outputs[:, None]).solution[:, 0]
    return result


def _short_list(answer: object, generator: torch.Generator) -> str:
    own = function(answer)
    mine, kept, fitted = [], [], []
    for _ in range(LIST_GAMES):
        outputs = cancelling_game(generator)
        found = call(own, outputs, LIST_TERMS, shape=outputs.shape, example=f"for a game of {LIST_PLAYERS} players")
        used = int((found[1:].abs() > 1e-12).sum())
        require(used <= LIST_TERMS, f"your list has {used} groups beside the empty one; {LIST_TERMS} are allowed.")
        strongest = interactions.harsanyi(outputs)[1:].abs().topk(LIST_TERMS).indices + 1
        plain = torch.zeros_like(outputs)
        chosen = torch.cat([torch.zeros(1, dtype=torch.int64), strongest])
        plain[chosen] = interactions.harsanyi(outputs)[chosen]
        mine.append(explained(outputs, found))
        kept.append(explained(outputs, plain))
        fitted.append(explained(outputs, refitted(outputs, strongest)))
    own_r2, kept_r2, fitted_r2 = (sum(values) / LIST_GAMES for values in (mine, kept, fitted))
    beside = f"Mean R² over {LIST_GAMES} games: yours {own_r2:.2f}, strongest {kept_r2:.2f}, strongest and refitted {fitted_r2:.2f}."
    require(own_r2 > kept_r2 + 1e-6, f"no better than keeping the strongest as they are. {beside}")
    require(own_r2 > 1e-6, f"no better than a constant. {beside}")
    require(own_r2 > fitted_r2 + 1e-6, f"no better than refitting the strongest: choose *other* groups. {beside}")
    require(
        own_r2 > fitted_r2 + LIST_LEAD, f"better than the strongest, refitted, but by less than {LIST_LEAD}. {beside}"
    )
    return (
        f"a shorter list than the strongest. {beside} Now try it on the networks of this chapter, beside their twins."
    )


EXERCISES = (
    Exercise(
        key="dividends_by_hand",
        chapter=CHAPTER,
        title="Eight interactions by hand",
        difficulty="warm-up",
        minutes=10,
        task=r"""
            Three players, eight outputs: $v(\varnothing) = 4$, $v(A) = 9$, $v(B) = 6$, $v(A, B) = 17$, $v(C) = 1$,
            $v(A, C) = 14$, $v(B, C) = 3$, $v(A, B, C) = 13$. Compute all eight interactions with pen and paper. Keep this
            order: empty, A, B, AB, C, AC, BC, ABC.
            """,
        name="mine",
        stub="mine = [..., ..., ..., ..., ..., ..., ..., ...]  # empty, A, B, AB, C, AC, BC, ABC",
        hints=(
            "Begin with the empty group: its interaction is its output. Then one player, then two, then three.",
            """
            An interaction is the output of the group minus the *interactions* of all its smaller parts. A group of three
            has seven of them.
            """,
        ),
        solution="mine = [4, 5, 2, 6, -3, 8, 0, -9]",
        explanation=r"""
            For example $I(A) = 9 - 4 = 5$ and $I(A, B) = 17 - 4 - 5 - 2 = 6$. B and C do not interact. For all three,
            $13 - (4 + 5 + 2 + 6 - 3 + 8 + 0) = -9$.
            """,
        mistakes=(
            Mistake("the outputs themselves", "mine = [4, 9, 6, 17, 1, 14, 3, 13]", "these are the outputs themselves"),
            Mistake(
                "empty group set to 0", "mine = [0, 5, 2, 6, -3, 8, 0, -9]", "the empty group has an interaction too"
            ),
            Mistake(
                "empty group left in single players",
                "mine = [4, 9, 6, 2, 1, 4, -4, -9]",
                "the empty group is a part of every group",
            ),
            Mistake("ordered by size", "mine = [4, 5, 2, -3, 6, 8, 0, -9]", "the order is not that of the task"),
            Mistake(
                "pairs forgotten in the triple", "mine = [4, 5, 2, 6, -3, 8, 0, 5]", "the pairs are parts of it too"
            ),
            Mistake(
                "outputs of the pairs taken away",
                "mine = [4, 5, 2, 6, -3, 8, 0, -21]",
                "you take away the *outputs* of the pairs",
            ),
            Mistake("a sign", "mine = [4, 5, 2, 6, -3, 8, 0, 9]", "must add up to its output; yours add up to"),
        ),
        test=_by_hand,
    ),
    Exercise(
        key="dividends",
        chapter=CHAPTER,
        title="Interactions of any game",
        difficulty="easy",
        minutes=20,
        task=r"""
            Write `dividends(outputs)` from {eq}`eq-harsanyi`. It takes the $2^n$ outputs of a game, a float tensor in
            binary order: bit $i$ of the index says whether player $i$ is there. It gives the $2^n$ interactions. Any $n$
            from 1. It need not be fast.
            """,
        name="dividends",
        stub='''
            def dividends(outputs):
                """All interactions of a game: float (2^n,) to float (2^n,)."""
                ...
            ''',
        hints=(
            "Two loops over the indices. Index `t` is a part of index `s` when `t & s == t`.",
            "`int.bit_count` counts the members of an index. How many members of `s` are missing in `t`?",
        ),
        solution='''
            def dividends(outputs):
                """All interactions of a game: float (2^n,) to float (2^n,)."""
                result = torch.zeros_like(outputs)
                for s in range(len(outputs)):
                    for t in range(len(outputs)):
                        if t & s == t:
                            missing = s.bit_count() - t.bit_count()
                            result[s] += (-1) ** missing * outputs[t]
                return result
            ''',
        explanation="""
            The sum runs over all parts of `s`. Its sign turns with every missing member. This takes $4^n$ steps; the
            book's `interactions.harsanyi` goes player by player and needs $n 2^{n-1}$ subtractions.
            """,
        mistakes=(
            Mistake(
                "no signs",
                """
                def dividends(outputs):
                    indices = range(len(outputs))
                    return torch.stack([sum(outputs[t] for t in indices if t & s == t) for s in indices])
                """,
                "all signs are plus in yours",
            ),
            Mistake(
                "sign by the size of T",
                """
                def dividends(outputs):
                    result = torch.zeros_like(outputs)
                    for s in range(len(outputs)):
                        for t in range(len(outputs)):
                            if t & s == t:
                                result[s] += (-1) ** t.bit_count() * outputs[t]
                    return result
                """,
                "the wrong sign for groups of odd size",
            ),
            Mistake(
                "all signs turned",
                """
                def dividends(outputs):
                    result = torch.zeros_like(outputs)
                    for s in range(len(outputs)):
                        for t in range(len(outputs)):
                            if t & s == t:
                                result[s] += (-1) ** (s.bit_count() - t.bit_count() + 1) * outputs[t]
                    return result
                """,
                "all signs are turned round",
            ),
            Mistake(
                "supersets for subsets",
                """
                def dividends(outputs):
                    result = torch.zeros_like(outputs)
                    for s in range(len(outputs)):
                        for t in range(len(outputs)):
                            if t & s == s:
                                result[s] += (-1) ** (t.bit_count() - s.bit_count()) * outputs[t]
                    return result
                """,
                "you add over groups that *contain* S",
            ),
            Mistake(
                "every part with a minus",
                """
                def dividends(outputs):
                    result = outputs.clone()
                    for s in range(len(outputs)):
                        for t in range(s):
                            if t & s == t:
                                result[s] -= outputs[t]
                    return result
                """,
                "you take away the outputs of all parts",
            ),
            Mistake(
                "the empty group left out",
                """
                def dividends(outputs):
                    result = torch.zeros_like(outputs)
                    for s in range(len(outputs)):
                        for t in range(len(outputs)):
                            if t & s == t:
                                result[s] += (-1) ** (s.bit_count() - t.bit_count()) * (outputs[t] - outputs[0])
                    return result
                """,
                "the output of the empty group is left out",
            ),
        ),
        test=_dividends,
    ),
    Exercise(
        key="or_as_ands",
        chapter=CHAPTER,
        title="An OR, written with ANDs",
        difficulty="medium",
        minutes=15,
        task=r"""
            An output is 1 as soon as one of the players in `members` is there, else 0. The other players do nothing. Write
            `or_as_ands(members, n)`: all $2^n$ interactions (ANDs) of this output, in binary order. `members` is a list of
            player numbers from 0.
            """,
        name="or_as_ands",
        stub='''
            def or_as_ands(members, n):
                """Interactions of "one of the members is there": list of int, int to float (2^n,)."""
                ...
            ''',
        hints=(
            "Two members first. Each alone brings 1. What must the pair bring, so that both together do not bring 2?",
            "Then three. Look for a rule: how large is an interaction, and what decides its sign?",
        ),
        solution='''
            def or_as_ands(members, n):
                """Interactions of "one of the members is there": list of int, int to float (2^n,)."""
                mask = sum(2**i for i in members)
                result = torch.zeros(2**n)
                for s in range(1, 2**n):
                    if s & mask == s:
                        result[s] = 1 if s.bit_count() % 2 else -1
                return result
            ''',
        explanation=r"""
            $I(S) = (-1)^{|S| + 1}$ for every non-empty group of members, else 0. It is counting with inclusion and
            exclusion. One OR of ten players costs $2^{10} - 1 = 1023$ ANDs, all of the same size.
            """,
        mistakes=(
            Mistake(
                "every AND +1",
                """
                def or_as_ands(members, n):
                    mask = sum(2**i for i in members)
                    return torch.tensor([float(s > 0 and s & mask == s) for s in range(2**n)])
                """,
                "two members bring 2 in yours",
            ),
            Mistake(
                "single players alone",
                """
                def or_as_ands(members, n):
                    result = torch.zeros(2**n)
                    result[[2**i for i in members]] = 1
                    return result
                """,
                "two members bring 2 in yours",
            ),
            Mistake(
                "signs turned",
                """
                def or_as_ands(members, n):
                    mask = sum(2**i for i in members)
                    return torch.tensor([(-1.0) ** s.bit_count() if s and s & mask == s else 0 for s in range(2**n)])
                """,
                "the signs are turned round",
            ),
            Mistake(
                "the empty group counted",
                """
                def or_as_ands(members, n):
                    mask = sum(2**i for i in members)
                    return torch.tensor([-((-1.0) ** s.bit_count()) if s & mask == s else 0 for s in range(2**n)])
                """,
                "the empty group: when nobody is there",
            ),
            Mistake(
                "all players taken for members",
                """
                def or_as_ands(members, n):
                    return torch.tensor([-((-1.0) ** s.bit_count()) if s else 0 for s in range(2**n)])
                """,
                "players outside the OR have interactions in yours",
            ),
            Mistake(
                "an AND",
                """
                def or_as_ands(members, n):
                    result = torch.zeros(2**n)
                    result[sum(2**i for i in members)] = 1
                    return result
                """,
                "this is one AND",
            ),
            Mistake(
                "the outputs",
                """
                def or_as_ands(members, n):
                    mask = sum(2**i for i in members)
                    return torch.tensor([float(s & mask != 0) for s in range(2**n)])
                """,
                "these are the outputs of the OR",
            ),
        ),
        test=_or_as_ands,
    ),
    Exercise(
        key="forced_zeros",
        chapter=CHAPTER,
        title="Zeros that masking makes",
        difficulty="medium",
        minutes=20,
        task=r"""
            The players are the numbers of an input `x`. A masked one is replaced by `mask_value`. Some interactions are then
            0 *whatever* the network computes. Write `forced_zeros(x, mask_value)`: true for these, in binary order. It knows
            the input and the mask value, and no network.
            """,
        name="forced_zeros",
        stub='''
            def forced_zeros(x, mask_value):
                """Which interactions are 0 for every network: float (n,), float to bool (2^n,)."""
                ...
            ''',
        hints=(
            "Which players change nothing when they are masked?",
            "Pair each group without such a player with the same group plus this player. What happens in {eq}`eq-harsanyi`?",
        ),
        solution='''
            def forced_zeros(x, mask_value):
                """Which interactions are 0 for every network: float (n,), float to bool (2^n,)."""
                dummies = [i for i, value in enumerate(x) if value == mask_value]
                return torch.tensor([any(s >> i & 1 for i in dummies) for s in range(2 ** len(x))])
            ''',
        explanation=r"""
            A player whose input already equals the mask value is a dummy. In {eq}`eq-harsanyi` the parts with and without it
            come in pairs of equal outputs and opposite signs, so every group with a dummy has interaction 0. The empty
            group holds no dummy. Count these zeros before you call a network sparse.
            """,
        mistakes=(
            Mistake(
                "groups of dummies alone",
                """
                def forced_zeros(x, mask_value):
                    filled = [i for i, value in enumerate(x) if value != mask_value]
                    return torch.tensor([s > 0 and not any(s >> i & 1 for i in filled) for s in range(2 ** len(x))])
                """,
                "you mark groups made of dummies *alone*",
            ),
            Mistake(
                "the other way round",
                """
                def forced_zeros(x, mask_value):
                    dummies = [i for i, value in enumerate(x) if value == mask_value]
                    return torch.tensor([not any(s >> i & 1 for i in dummies) for s in range(2 ** len(x))])
                """,
                "it is the other way round",
            ),
            Mistake(
                "inputs that are 0",
                """
                def forced_zeros(x, mask_value):
                    dummies = [i for i, value in enumerate(x) if value == 0]
                    return torch.tensor([any(s >> i & 1 for i in dummies) for s in range(2 ** len(x))])
                """,
                "you look for inputs that are 0",
            ),
            Mistake(
                "the empty group as well",
                """
                def forced_zeros(x, mask_value):
                    dummies = [i for i, value in enumerate(x) if value == mask_value]
                    return torch.tensor([s == 0 or any(s >> i & 1 for i in dummies) for s in range(2 ** len(x))])
                """,
                "the empty group is marked",
            ),
            Mistake(
                "filled inputs marked",
                """
                def forced_zeros(x, mask_value):
                    filled = [i for i, value in enumerate(x) if value != mask_value]
                    return torch.tensor([any(s >> i & 1 for i in filled) for s in range(2 ** len(x))])
                """,
                "you mark the groups that hold an input which masking changes",
            ),
        ),
        test=_forced_zeros,
    ),
    Exercise(
        key="exponent",
        chapter=CHAPTER,
        title="How fast do outputs grow?",
        difficulty="hard",
        minutes=30,
        task=r"""
            The proof needs an exponent $p$. Let $\bar u^{(m)}$ be the mean of $v(S) - v(\varnothing)$ over all groups of $m$
            players. Then $p$ is the smallest number with $\bar u^{(m)} \le m^p\, \bar u^{(1)}$ for all $m \ge 1$. Write
            `exponent(outputs)` for $2^n$ outputs in binary order. You may trust that the means rise, that
            $\bar u^{(1)} > 0$, and that $n \ge 2$.
            """,
        name="exponent",
        stub='''
            def exponent(outputs):
                """The smallest p that keeps the bound at every order: float (2^n,) to a number."""
                ...
            ''',
        hints=(
            "Compute the $n$ means first. The order of a group is the number of ones in its index.",
            r"For one $m$, solve $\bar u^{(m)} = m^p\, \bar u^{(1)}$ for $p$. Which of these keeps the bound for *all* $m$?",
        ),
        solution='''
            import math


            def exponent(outputs):
                """The smallest p that keeps the bound at every order: float (2^n,) to a number."""
                n = len(outputs).bit_length() - 1
                order = torch.tensor([s.bit_count() for s in range(2**n)])
                means = [float((outputs[order == m] - outputs[0]).mean()) for m in range(n + 1)]
                return max(math.log(means[m] / means[1]) / math.log(m) for m in range(2, n + 1))
            ''',
        explanation=r"""
            $p = \max_{m \ge 2} \log_m (\bar u^{(m)} / \bar u^{(1)})$. At $m = 1$ the bound always holds. The order that
            decides need not be the last one.
            """,
        mistakes=(
            Mistake(
                "a fitted slope",
                """
                def exponent(outputs):
                    n = len(outputs).bit_length() - 1
                    order = torch.tensor([s.bit_count() for s in range(2**n)])
                    means = torch.stack([(outputs[order == m] - outputs[0]).mean() for m in range(1, n + 1)])
                    x, y = torch.arange(1, n + 1).to(means).log(), (means / means[0]).log()
                    return ((x - x.mean()) * y).sum() / ((x - x.mean()) ** 2).sum()
                """,
                "your p is too",
            ),
            Mistake(
                "only the last order",
                """
                import math


                def exponent(outputs):
                    n = len(outputs).bit_length() - 1
                    singles = torch.stack([outputs[2**i] for i in range(n)]).mean() - outputs[0]
                    return math.log((outputs[-1] - outputs[0]) / singles) / math.log(n)
                """,
                "your p is too small: the bound breaks at order",
            ),
            Mistake(
                "the smallest over the orders",
                """
                import math


                def exponent(outputs):
                    n = len(outputs).bit_length() - 1
                    order = torch.tensor([s.bit_count() for s in range(2**n)])
                    means = [float((outputs[order == m] - outputs[0]).mean()) for m in range(n + 1)]
                    return min(math.log(means[m] / means[1]) / math.log(m) for m in range(2, n + 1))
                """,
                "your p is too small: the bound breaks at order",
            ),
            Mistake(
                "not divided by log m",
                """
                import math


                def exponent(outputs):
                    n = len(outputs).bit_length() - 1
                    order = torch.tensor([s.bit_count() for s in range(2**n)])
                    means = [float((outputs[order == m] - outputs[0]).mean()) for m in range(n + 1)]
                    return max(math.log(means[m] / means[1]) for m in range(2, n + 1))
                """,
                "divide the logarithm of the growth by log m",
            ),
            Mistake(
                "sums in place of means",
                """
                import math


                def exponent(outputs):
                    n = len(outputs).bit_length() - 1
                    order = torch.tensor([s.bit_count() for s in range(2**n)])
                    sums = [float((outputs[order == m] - outputs[0]).sum()) for m in range(n + 1)]
                    return max(math.log(sums[m] / sums[1]) / math.log(m) for m in range(2, n + 1))
                """,
                "take the *mean* over the groups",
            ),
            Mistake(
                "v of the empty group kept",
                """
                import math


                def exponent(outputs):
                    n = len(outputs).bit_length() - 1
                    order = torch.tensor([s.bit_count() for s in range(2**n)])
                    means = [float(outputs[order == m].mean()) for m in range(n + 1)]
                    return max(math.log(means[m] / means[1]) / math.log(m) for m in range(2, n + 1))
                """,
                "Take v of the empty group away first",
            ),
            Mistake(
                "not relative to order 1",
                """
                import math


                def exponent(outputs):
                    n = len(outputs).bit_length() - 1
                    order = torch.tensor([s.bit_count() for s in range(2**n)])
                    means = [float((outputs[order == m] - outputs[0]).mean()) for m in range(n + 1)]
                    return max(math.log(means[m]) / math.log(m) for m in range(2, n + 1))
                """,
                "Divide the means by that of order 1",
            ),
        ),
        test=_exponent,
    ),
    Exercise(
        key="short_list",
        chapter=CHAPTER,
        title="A shorter list",
        difficulty="open",
        minutes=90,
        task=r"""
            Keep the strongest interactions, drop the rest: on the boards of this chapter that explains nothing, because large
            terms cancel each other. Is there a better list? Write `short_list(outputs, terms)`: all $2^n$ interactions in
            binary order, with at most `terms` of them not 0, the empty group not counted. Choose groups *and* values so that
            the outputs rebuilt from them are close to `outputs`.

            The check makes fresh games of three ORs, two ANDs and some noise. You must beat the strongest
            interactions, even when these get the best values (least squares), by 0.05 of $R^2$.

            Then it is research. Run yours on boards of this chapter, such as `v["trained"][0, 0]` (first seed, first board), and
            on the same boards of `v["untrained"]` and `v["memorising"]`. Who has the shortest list? Nobody has told you.
            """,
        name="short_list",
        stub='''
            def short_list(outputs, terms):
                """At most `terms` interactions that rebuild the outputs: float (2^n,), int to float (2^n,)."""
                ...
            ''',
        hints=(
            r"For a group $T$, what does its interaction add to each output? A column of 0 and 1, one entry per mask. Now it "
            "is a linear model with $2^n$ features.",
            "Build the list step by step. Which column fits best what is still unexplained? Fit all chosen ones again after "
            "every step.",
        ),
        solution='''
            def short_list(outputs, terms):
                """At most `terms` interactions that rebuild the outputs: float (2^n,), int to float (2^n,)."""
                groups = torch.arange(len(outputs))
                columns = ((groups[:, None] & groups) == groups).to(outputs)  # is group T (column) inside mask S (row)?
                centred = columns - columns.mean(0)
                lengths = centred.norm(dim=0).clamp(min=1e-9)
                chosen = [0]
                while True:
                    values = torch.linalg.lstsq(columns[:, chosen], outputs[:, None]).solution[:, 0]
                    if len(chosen) > terms:
                        break
                    left = outputs - columns[:, chosen] @ values
                    gain = (left @ centred).abs() / lengths
                    gain[chosen] = 0
                    chosen.append(int(gain.argmax()))
                result = torch.zeros_like(outputs)
                result[chosen] = values
                return result
            ''',
        explanation=r"""
            This is orthogonal matching pursuit. It reaches an $R^2$ of about 0.8, where refitting the strongest reaches 0.3 to
            0.6. Lasso, or exchanging groups one by one, may do better. A short list imitates the outputs; it does not
            say that the network computes so.
            """,
        mistakes=(
            Mistake(
                "the strongest as they are",
                """
                from innercodes import interactions


                def short_list(outputs, terms):
                    dividends = interactions.harsanyi(outputs)
                    strongest = dividends[1:].abs().topk(terms).indices + 1
                    result = torch.zeros_like(outputs)
                    result[strongest] = dividends[strongest]
                    result[0] = dividends[0]
                    return result
                """,
                "no better than keeping the strongest",
            ),
            Mistake(
                "the strongest, refitted",
                """
                from innercodes import interactions


                def short_list(outputs, terms):
                    groups = torch.arange(len(outputs))
                    columns = ((groups[:, None] & groups) == groups).to(outputs)
                    strongest = interactions.harsanyi(outputs)[1:].abs().topk(terms).indices + 1
                    chosen = torch.cat([torch.tensor([0]), strongest])
                    result = torch.zeros_like(outputs)
                    result[chosen] = torch.linalg.lstsq(columns[:, chosen], outputs[:, None]).solution[:, 0]
                    return result
                """,
                "no better than refitting the strongest",
            ),
            Mistake(
                "all of them",
                """
                from innercodes import interactions


                def short_list(outputs, terms):
                    return interactions.harsanyi(outputs)
                """,
                "groups beside the empty one",
            ),
            Mistake(
                "the mean",
                """
                def short_list(outputs, terms):
                    result = torch.zeros_like(outputs)
                    result[0] = outputs.mean()
                    return result
                """,
                "no better than a constant",
            ),
        ),
        test=_short_list,
    ),
)
