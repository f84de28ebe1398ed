"""The exercises of chapter 03: ways on a torus, effective dimensions, a step of a map, compact classes, and richer codes."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from innercodes import activations, telescope
from innercodes.exercises.protocol import (
    Exercise,
    Mistake,
    NotYet,
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

CHAPTER = "03_functional_telescope"

# By hand

SIDE, START, END = 20, (2, 3), (18, 17)
"""The torus of the first exercise, and the places that its way joins, (row, column)."""


def _by_hand(answer: object, generator: torch.Generator) -> str:
    mine = numbers(answer, (2, 2))
    require(bool((mine == mine.round()).all()), "rows and columns are whole numbers.")
    start, end = torch.tensor(START).double(), torch.tensor(END).double()
    way, farthest = mine
    arrived = (start + way).remainder(SIDE)
    if not torch.equal(arrived, end):
        if torch.equal((end + way).remainder(SIDE), start):
            raise NotYet("your way leads from the end back to the start. Turn its signs round.")
        if torch.equal((start + way.flip(0)).remainder(SIDE), end):
            raise NotYet("rows and columns are exchanged in your way: the row comes first.")
        raise NotYet(f"from {START}, your way leads to ({arrived[0]:g}, {arrived[1]:g}), not to {END}.")
    if bool((way.abs() > SIDE / 2).any()):
        raise NotYet("your way arrives, but not by the short side: the distance is not wrapped around the torus.")
    require(
        bool(((farthest >= 0) & (farthest < SIDE)).all()),
        f"your farthest place is not on the map: rows and columns have the numbers 0 to {SIDE - 1}.",
    )
    if torch.equal(farthest, start):
        raise NotYet("your farthest place is the start itself.")
    reach = telescope.torus_distance(start, farthest, SIDE)
    # Any place may be the one that is farther away: all of them are asked.
    every = telescope.positions(torch.arange(SIDE**2), SIDE)
    if bool((telescope.torus_distance(start, every, SIDE) > reach + 1e-9).any()):
        corners = [(0.0, 0.0), (0.0, SIDE - 1.0), (SIDE - 1.0, 0.0), (SIDE - 1.0, SIDE - 1.0)]
        if tuple(farthest.tolist()) in corners:
            raise NotYet("a torus has no corners: beyond the last row and column the first ones come again.")
        swapped = telescope.torus_distance(start, farthest.flip(0), SIDE)
        if not bool((telescope.torus_distance(start, every, SIDE) > swapped + 1e-9).any()):
            raise NotYet("rows and columns are exchanged in your farthest place: the row comes first.")
        raise NotYet("there are places farther from the start than yours. How far can one go in *each* direction?")
    return "you go the short way round, and no place is farther away."


# Distances

_NOT_WRAPPED = "the distance is not wrapped around the torus: places across a border are neighbours."


def _torus_distance(answer: object, generator: torch.Generator) -> str:
    own = function(answer)
    for _ in range(6):
        # Sides that differ, by enough to tell one from the other.
        m, n = whole(generator, 5, 11), whole(generator, 14, 30)
        grid = (m, n) if whole(generator, 0, 1) else (n, m)
        sides = torch.tensor(grid)
        count = 40
        a, b, c, shift = (torch.rand(4, count, 2, generator=generator) * sides).long().double().unbind(0)
        example = f"on a {grid[0]} × {grid[1]} torus"

        def distance(a: Tensor, b: Tensor, grid: tuple[int, int] = grid, example: str = example) -> Tensor:
            return call(own, a, b, grid, shape=(len(a),), example=example)

        mine, gap = distance(a, b), (a - b).abs()
        wrapped = torch.minimum(gap, sides - gap)
        typical = [
            (gap.norm(dim=-1), _NOT_WRAPPED),
            (wrapped.sum(-1), "you add the steps in the two directions. The distance is along the diagonal."),
            (wrapped.square().sum(-1), "this is the distance squared: the root is missing."),
            (wrapped.amax(-1), "you take the longer of the two directions. The distance is along the diagonal."),
            (torch.minimum(gap, sides.flip(0) - gap).norm(dim=-1), "rows and columns of `grid` are exchanged."),
            (torch.minimum(gap, sides - 1 - gap).norm(dim=-1), "one step is missing on the way round, that over the border."),
            (
                torch.minimum(gap.norm(dim=-1), (sides - gap).norm(dim=-1)),
                "in yours both directions cross the border, or none. Each has its own shorter way.",
            ),
            *_one_side_wrong(gap, wrapped, grid),
        ]  # fmt: skip
        hint = f"{example}: "
        require(bool((mine >= 0).all()), hint + "a distance below 0.", mine, typical)
        require(
            bool((distance(a, a).abs() < 1e-6).all()), hint + "a place is not at distance 0 from itself.", mine, typical
        )
        back = distance(b, a)
        wrong = (mine - back).abs() > 1e-6
        if wrong.any():
            i = int(wrong.nonzero()[0])
            ends = f"{_place(a[i])} to {_place(b[i])}"
            require(False, f"{hint}not symmetric. From {ends} it is not as far as back.", mine, typical)
        largest = math.hypot(*grid) / 2
        require(bool((mine <= largest + 1e-6).all()), hint + _NOT_WRAPPED, mine, typical)
        moved = distance((a + shift).remainder(sides), (b + shift).remainder(sides))
        require(
            close(moved, mine, 1e-6),
            f"{hint}both places moved by the same step, and the distance changes.",
            mine,
            typical,
        )
        around = mine + distance(b, c)
        require(
            bool((distance(a, c) <= around + 1e-6).all()),
            f"{hint}a detour is shorter than your distance.",
            mine,
            typical,
        )
        # Far from every border, a torus is a plane; wherever the pair lies, the steps between are the same.
        near = torch.stack(
            [torch.randint(-(side // 2), side // 2 + 1, (count,), generator=generator) for side in grid], -1
        )
        flat, wanted = distance(a, (a + near).remainder(sides)), near.double().norm(dim=-1)
        if not close(flat, wanted, 1e-6):
            i = int((flat - wanted).abs().argmax())
            steps = f"{abs(int(near[i, 0]))} rows and {abs(int(near[i, 1]))} columns"
            require(False, f"{hint}wrong for two places that are {steps} apart.", mine, typical)
    return "symmetric, no detour is shorter, no place beyond half the sides: a distance on the torus."


def _one_side_wrong(gap: Tensor, wrapped: Tensor, grid: tuple[int, int]) -> list[tuple[Tensor, str]]:
    """Distances with one direction not wrapped, or wrapped with the side of the other, as `require` takes them."""
    guesses = []
    for axis, name in enumerate(("rows", "columns")):
        own, other = gap[:, axis], grid[1 - axis]
        rest = own.remainder(other)
        # On a map that is wide or tall enough some of these are the same, so they share a message.
        for wrong in (own, torch.minimum(own, other - own), torch.minimum(rest, other - rest)):
            reason = f"{name} are not wrapped with the number of {name}. A map need not be square."
            guesses.append((torch.hypot(wrong, wrapped[:, 1 - axis]), reason))
    return guesses


def _place(place: Tensor) -> str:
    return f"({place[0]:g}, {place[1]:g})"


# Effective dimensions


def _ratio(matrix: Tensor) -> Tensor:
    """The participation ratio of a symmetric matrix's eigenvalues."""
    return matrix.trace() ** 2 / matrix.square().sum()


def _participation_ratio(answer: object, generator: torch.Generator) -> str:
    own = function(answer)

    def ratio(codes: Tensor, example: str) -> Tensor:
        return call(own, codes, shape=(), example=example)

    rows, size = whole(generator, 40, 80), whole(generator, 4, 8)
    variances = (1.5 * normal(generator, size)).exp().sort(descending=True).values
    variances[0] = 2 * variances.sum()  # unequal enough for every mistake to show
    codes = made_codes(generator, rows, variances)
    centred = codes - codes.mean(0)
    mine = ratio(codes, f"for codes of {size} dimensions")
    roots, cov = variances.sqrt(), torch.cov(codes.T)
    share = variances / variances.sum()
    squares = variances.square()
    typical = [
        (roots.sum() ** 2 / variances.sum(), "these are singular values, not squared: a variance is the square of one."),
        (squares.sum() ** 2 / squares.square().sum(), "variances are squared once too often: eigenvalues are variances already."),
        (_ratio(codes.T @ codes), "the mean of each column is not taken away: variances are about it."),
        (squares.sum() / variances.sum() ** 2, "this is upside down: many equal variances must give a large number."),
        (share.mul(-share.log()).sum().exp(), "this is another effective number, by the entropy. Square the variances here."),
        (centred.var(0).sum() ** 2 / centred.var(0).square().sum(), "these are the variances of the columns, not along principal axes."),
        (variances.sum() / variances.max(), "you divide by the largest variance. Divide by the sum of their squares."),
        (_ratio(torch.cov(codes)), "the mean of each row is taken away. Variances are over pictures; `torch.cov` wants them as columns."),
        (_ratio(torch.corrcoef(codes.T)), "every column has been divided by its deviation. That makes all variances alike."),
        (cov.trace() ** 2 / (cov @ cov).sum(), "a sum of eigenvalues is the trace of a matrix, not the sum of its entries."),
        (_ratio((codes - codes.mean()).T @ (codes - codes.mean())), "the mean of each column is not taken away: variances are about it."),
        (size, "you count the dimensions. How many of them carry the variance?"),
    ]  # fmt: skip
    for other, what in (
        (codes @ rotation(generator, size), "the codes are rotated"),
        (codes * between(generator, 2, 9), "all codes are scaled by one number"),
        (codes + 5 * normal(generator, size), "the same vector is added to all codes"),
    ):
        found = ratio(other, f"where {what}")
        # Against its own size: a number near 0 must not pass for one that stays.
        stays = abs(float(found - mine)) <= 1e-3 * abs(float(mine))
        require(stays, f"when {what}, the number of dimensions must stay; yours changes.", mine, typical)
    require(
        1 - 1e-6 <= float(mine) <= size + 1e-6,
        f"codes of {size} dimensions: yours gives {float(mine):.3g}.",
        mine,
        typical,
    )
    k = whole(generator, 2, 5)
    equal = ratio(made_codes(generator, rows, torch.ones(k).double()), f"for {k} equal variances")
    require(
        close(equal, torch.tensor(k).double(), 1e-3),
        f"{k} equal variances and no others are {k} dimensions.",
        mine,
        typical,
    )
    line = ratio(normal(generator, rows, 1) * normal(generator, size), "for codes on a line")
    require(abs(float(line) - 1) < 1e-3, "codes on a line have one dimension.", mine, typical)
    noise = ratio(normal(generator, 4000, k), f"for white noise of {k} dimensions")
    require(abs(float(noise) / k - 1) < 0.03, f"white noise of {k} dimensions must come near {k}.", mine, typical)
    # What the task's formula says of variances that are known.
    wanted = variances.sum() ** 2 / squares.sum()
    require(close(mine, wanted, 1e-3), "rotation, scale and noise are right; unequal variances are not.", mine, typical)
    return "rotated, scaled or moved, the number stays, and white noise fills all its dimensions."


# A step of a map

_EQUALLY_FAR = "two units equally far from the winner on the grid must move by the same share. Measure d on the grid."


def _som_step(answer: object, generator: torch.Generator) -> str:
    own = function(answer)
    for attempt in range(4):
        grid = (whole(generator, 4, 5), whole(generator, 6, 7))
        units, size = grid[0] * grid[1], 4
        rate, sigma = between(generator, 0.2, 0.6), between(generator, 0.8, 1.6)
        # In the corner a border that is not crossed shows best. Elsewhere it shows from where distances are measured.
        winner = whole(generator, 1, units - 1) if attempt else 0
        weights, x = _map_with_rivals(generator, units, size, winner)
        example = f"on a {grid[0]} × {grid[1]} map"
        new = call(own, weights, x, grid, rate, sigma, shape=(units, size), example=example)
        gap, step = x - weights, new - weights
        if _follows(step, gap, winner, rate, sigma, grid):
            continue
        far = telescope.grid_distances(grid)[winner]
        _explain_step(weights, x, step, gap, far, winner, rate, sigma, grid)
        raise NotYet(f"{example}, the shares by which units move do not fall with the grid distance as in the rule.")
    return "the right unit wins, and its neighbours follow, also across the border."


def _follows(step: Tensor, gap: Tensor, winner: int, rate: float, sigma: float, grid: tuple[int, int]) -> bool:
    """Whether a step has what makes it one, told without any distance on the grid.

    Units move straight towards x, the winner by `rate`. Seen from the winner it is the same in both directions round the map,
    and what is off in rows and in columns multiplies, as squares of distances add up. In a row or column the pull falls with
    the square of the steps, and by the square root of e at sigma steps.
    """
    share = (step * gap).sum(-1) / gap.square().sum(-1)
    if not close(step, share[:, None] * gap, 1e-3):
        return False
    pull = (share / rate).view(grid).roll((-(winner // grid[1]), -(winner % grid[1])), (0, 1))
    if not close(pull, pull[:, :1] * pull[:1], 1e-3):
        return False
    for line in (pull[:, 0], pull[0]):
        there = line[: len(line) // 2 + 1]
        back = line.flip(0).roll(1)[: len(there)]
        falls = there[1].clamp(min=0) ** torch.arange(len(there)).square()
        if not (close(there, back, 1e-3) and close(there, falls, 1e-3)):
            return False
        if abs(float(there[1].clamp(min=0)) ** (sigma**2) - math.exp(-0.5)) > 1e-3:
            return False
    return math.isclose(float(pull[0, 0]), 1, rel_tol=1e-3)


def _map_with_rivals(generator: torch.Generator, units: int, size: int, winner: int) -> tuple[Tensor, Tensor]:
    """Weights and an input: the winner by angle, the nearest unit and that of the largest product are three units."""
    while True:
        lengths = (0.8 * normal(generator, units, 1)).exp()
        # Not far apart either, so that a neighbourhood among weights shows.
        weights, x = 0.5 * normal(generator, units, size) * lengths, 0.5 * normal(generator, size)
        cosines = 1 - telescope.cosine_distances(x[None], weights)[0]
        best, next_best = cosines.topk(2).values
        found = int(cosines.argmax())
        rivals = int((x - weights).norm(dim=-1).argmin()), int((weights @ x).argmax())
        if best - next_best > 0.02 and len({found, *rivals}) == 3:
            order = torch.arange(units)
            order[[winner, found]] = order[[found, winner]]
            return weights[order], x


def _explain_step(
    weights: Tensor, x: Tensor, step: Tensor, gap: Tensor, far: Tensor, winner: int, rate: float, sigma: float,
    grid: tuple[int, int],
) -> None:  # fmt: skip
    """Raise `NotYet` with what is seen to be wrong in a step."""
    if close(step, torch.zeros_like(step), 1e-9):
        raise NotYet("no unit moves in yours. Give the new weights back.")
    share = (step * gap).sum(-1) / gap.square().sum(-1)
    if not close(step, share[:, None] * gap, 1e-3):
        added = (step * x).sum(-1) / x.square().sum()
        if close(step, added[:, None] * x, 1e-3):
            raise NotYet("you add a part of x to the weights. Units move towards x: add a part of x − W.")
        new = weights + step
        if close(new, ((new * gap).sum(-1) / gap.square().sum(-1))[:, None] * gap, 1e-3):
            raise NotYet("these are the steps alone. Give the new weights back.")
        raise NotYet("units do not move straight towards x in yours. Each step is a share of x − W.")
    if bool((share < -1e-6).any()):
        raise NotYet("units move away from x in yours: x − W, not W − x.")
    if close(share, share[winner].expand(len(share))):
        raise NotYet("all units move by the same share. What does the neighbourhood do?")
    if int(share.argmax()) != winner and share.amax() > share[winner] + 1e-9:
        cosines = torch.cosine_similarity(weights, x[None], dim=-1)
        rivals = [
            (gap.norm(dim=-1).argmin(), "the one with the smallest norm of x − W. The winner has the smallest *cosine* distance."),
            ((weights @ x).argmax(), "the one with the largest product. A cosine is that divided by both lengths."),
            (cosines.argmin(), "the one least like x. A small cosine *distance* is a large cosine."),
            (torch.tensor(0), "unit 0. Is d measured from the winner?"),
        ]  # fmt: skip
        for rival, reason in rivals:
            if share.argmax() == rival:
                raise NotYet(f"another unit wins in yours: {reason}")
        if share[winner] <= share.min() + 1e-9:
            raise NotYet(
                "the winner moves least in yours, and units far from it most. Look at the sign of the exponent."
            )
        raise NotYet(
            "the unit with the smallest cosine distance must move by the largest share; in yours another one does."
        )
    if int((share.abs() > 1e-9).sum()) == 1:
        raise NotYet("only the winner moves in yours. Its neighbours on the grid must follow.")
    if not math.isclose(float(share[winner]), rate, rel_tol=1e-3):
        raise NotYet("the winner itself must move by the share `rate`; in yours it does not.")
    (m, n), units, sides = grid, torch.arange(len(far)), torch.tensor(grid)

    def squares(rows: Tensor, columns: Tensor, around: Tensor) -> Tensor:
        places = torch.stack([rows, columns], -1)
        steps = (places - places[winner]).abs()
        return torch.minimum(steps, around - steps).square().sum(-1).double()

    # A way round that is too long is never the shorter one.
    typical = [
        (squares(units // n, units % n, torch.tensor(99)) / (2 * sigma**2), _NOT_WRAPPED),
        *(
            (squares(rows, columns, sides) / (2 * sigma**2), "units have the wrong places. Where are the units 0 to n − 1?")
            for rows, columns in ((units // m, units % m), (units % m, units // m), (units % n, units // n))
        ),
        *(
            (squares(units // n, units % n, around) / (2 * sigma**2), "rows and columns have sides of their own. A map need not be square.")
            for around in (torch.tensor(m), torch.tensor(n), sides.flip(0))
        ),
        (far.square() / sigma**2, "the 2 in the exponent is missing: the neighbourhood is too narrow."),
        (far / (2 * sigma**2), "the grid distance is not squared in the exponent."),
        (far.square() / (2 * sigma), "sigma is not squared in the exponent."),
        (far.square() / 2 * sigma**2, "sigma multiplies in your exponent: in Python, `a / 2 * b` is `(a / 2) * b`."),
    ]  # fmt: skip
    for guess, reason in typical:
        if close(share / rate, torch.exp(-guess), 1e-3):
            raise NotYet(reason)
    for d in torch.unique(far.round(decimals=6)):
        same = share[(far - d).abs() < 1e-5]
        if float(same.max() - same.min()) > 1e-3 * rate:
            raise NotYet(_EQUALLY_FAR)


# How compact is a class, and against what?

MAP, OBLONG = (20, 20), (14, 26)
CALLS, WOBBLE = 24, 0.15
"""Calls on one input, and their largest relative deviation: that of 20 shuffles is 0.07, of a single one far above."""


def _relative_spread(answer: object, generator: torch.Generator) -> str:
    own = function(answer)

    def spread(places: Tensor, labels: Tensor, example: str, grid: tuple[int, int] = MAP) -> float:
        return float(call(own, places.remainder(torch.tensor(grid)), labels, grid, shape=(), example=example))

    labels = torch.arange(8).repeat_interleave(15)
    # Spread over the map, so that shuffled classes are wide, and far enough from the border that nothing is cut yet.
    lines = torch.tensor([4, 10, 15])
    middles = torch.cartesian_prod(lines, lines)[torch.randperm(9, generator=generator)[:8]]
    offsets = torch.randint(-1, 2, (len(labels), 2), generator=generator)
    tight = middles[labels] + offsets
    plain = spread(tight, labels, "for tight classes")
    require(plain >= 0, "your spread is below 0. Divide by the shuffled spread, do not subtract it.")
    # Tight classes without any baseline come near 1, but not so near.
    require(abs(plain - 1) > 1e-6, "shuffling changes nothing in yours. Shuffle the labels alone, the places stay.")
    require(plain < 3, f"tight classes must be far below 1; yours gives {plain:.2g}. What is divided by what?")
    single = spread(middles[labels], labels, "for classes that sit on one unit each")
    require(single < 1e-6, "classes that sit on one unit each have no spread; yours have some.")
    _enough_shuffles(spread)
    wide = spread(tight + offsets, labels, "for classes twice as wide") / max(plain, 1e-9)
    require(
        1.5 < wide < 2.7,
        f"classes twice as wide must have about twice the spread; yours has {wide:.2g} times. A distance is wanted, not its "
        "square.",
    )
    anywhere = torch.randint(0, MAP[0], (len(labels), 2), generator=generator)
    chance = spread(anywhere, labels, "for labels without meaning")
    require(
        0.75 < chance < 1.25,
        f"eight classes thrown at random must come near 1; yours gives {chance:.3g}. What is the spread divided by?",
    )
    few = torch.arange(30).repeat_interleave(3)
    small = spread(torch.randint(0, MAP[0], (len(few), 2), generator=generator), few, "for classes of three inputs")
    require(
        0.75 < small < 1.25,
        f"classes of three inputs, thrown at random: near 1 is right, yours gives {small:.3g}. Few points always lie close to "
        "their own centre; compare with groups of the same size.",
    )
    quarter = torch.randint(0, MAP[0] // 2, (len(labels), 2), generator=generator)
    busy = spread(quarter, labels, "for a map that is used in one quarter")
    require(
        0.75 < busy < 1.25,
        f"all inputs in a quarter of the map, labels without meaning: near 1 is right, yours gives {busy:.3g}. Compare with the "
        "same places and shuffled labels.",
    )
    whole_map = spread(tight, torch.zeros_like(labels), "for a single class")
    require(
        abs(whole_map - 1) < 1e-4,
        f"a single class stays the same when its labels are shuffled: yours gives {whole_map:.3g}. Rows and columns of a place "
        "belong together.",
    )
    # Whichever way the map is cut, right through a class too.
    for move in (-middles[0], -middles[1], torch.randint(0, MAP[0], (2,), generator=generator)):
        moved = spread(tight + move, labels, "for tight classes") / plain
        require(
            1 / 1.25 < moved < 1.25,
            "the whole map moved round, and the spread changes: a class cut by the border must be unfolded first.",
        )
    names = torch.randperm(8, generator=generator)
    renamed = spread(tight, names[labels], "for renamed classes")
    require(1 / 1.25 < renamed / plain < 1.25, "the classes get other numbers, and the spread changes.")
    _centres(spread, middles, generator)
    _oblong(spread, generator)
    return "cut classes are unfolded, and labels without meaning come near 1, with few inputs and on a busy corner too."


def _centres(spread: Callable[..., float], middles: Tensor, generator: torch.Generator) -> None:
    """Classes of a few places each, so that every other centre or distance gives another spread."""
    flips = 2 * torch.randint(0, 2, (8, 1, 2), generator=generator) - 1

    def share(*groups: tuple[int, int, int]) -> float:
        """The answer's spread over the right one, for classes of (how many, row, column) about their middles."""
        offsets = torch.cat([torch.tensor([group]).expand(count, 2) for count, *group in groups])
        labels = torch.arange(8).repeat_interleave(len(offsets))
        places = (middles[:, None] + flips * offsets).flatten(0, 1).remainder(MAP[0])
        shuffled = [_spread(places, labels[torch.randperm(len(labels), generator=generator)]) for _ in range(20)]
        wanted = _spread(places, labels) / (sum(shuffled) / 20)
        return spread(places, labels, "for classes of a few places") / wanted

    half = share((9, 0, 0), (9, 0, 5))
    require(
        0.85 < half < 1.1, _off(half, "of two places each") + "Is a distance the straight line, not a sum of steps?"
    )
    aside = share((16, 0, 0), (2, 0, 5))
    require(
        aside > 0.9,
        _off(aside, "of two places each, one more frequent")
        + "The centre is the average, not the most frequent place, and each input's distance counts.",
    )
    require(aside < 1.1, _off(aside, "of two places each, one more frequent") + "Average distances, not their squares.")
    # The others are less than half round from the most frequent place, but not from each other. The most frequent row is theirs.
    far = [(4, 8, 1), (4, 8, -1), (6, 0, 0), (4, -8, 2)]
    for turned in (False, True):
        wide = share(*((count, column, row) if turned else (count, row, column) for count, row, column in far))
        require(
            0.9 < wide < 1.1,
            _off(wide, "as wide as the map")
            + "Copies are those nearest to the *most frequent* place, which is a pair of row and column.",
        )


def _off(share: float, kind: str) -> str:
    return f"classes {kind}: your spread is too {'small' if share < 1 else 'large'}. "


def _spread(places: Tensor, labels: Tensor) -> float:
    """Mean distance of inputs to the centre of their class, by the book."""
    units = places[:, :1] * MAP[1] + places[:, 1:]
    found = telescope.class_centers(units, labels, MAP, int(labels.max()) + 1)
    return float(telescope.center_offsets(units, labels, found, MAP).mean())


def _oblong(spread: Callable[..., float], generator: torch.Generator) -> None:
    """The spread on a map with unequal sides, moved round; that of a square map is right already."""
    for grid in (OBLONG, OBLONG[::-1]):
        labels = torch.arange(6).repeat_interleave(15)
        sides = torch.tensor(grid)
        shares = torch.cartesian_prod(torch.tensor([0.25, 0.5]), torch.tensor([0.25, 0.5, 0.75]))
        middles = (shares * sides).long()
        places = middles[labels] + torch.randint(-1, 2, (len(labels), 2), generator=generator)
        example = f"on a {grid[0]} × {grid[1]} map"
        plain = spread(places, labels, example, grid)
        moved = spread(places - middles[0], labels, example, grid)
        require(
            plain / 1.25 < moved < 1.25 * plain,
            f"{example} that moved round, the spread changes. Rows and columns have sides of their own.",
        )


def _enough_shuffles(spread: Callable[..., float]) -> None:
    """Whether one input gives nearly the same number in each call: two inputs in each of three corners, of other classes."""
    labels = torch.arange(6) % 3
    places = torch.tensor([[0, 0], [1, 0], [7, 0], [8, 0], [0, 7], [1, 7]])
    found = torch.tensor([spread(places, labels, "for few inputs") for _ in range(CALLS)])
    differ = (found.max() - found.min()) / found.mean()
    require(
        float(found.std() / found.mean()) < WOBBLE,
        f"the same input gives numbers that differ by {float(differ):.0%}. Average over more shuffles, at least 20.",
    )


# A richer code

PICTURES, CHANNELS, PIXELS, CODE_SETS, CODE_LEAD = 40, 3, 8, 3, 0.2
"""Pictures per kind and half, channels, pixels of a side, fresh sets, and the accuracy by which an answer must lead."""
KINDS = ("fine", "across", "down", "coarse")


def textures(generator: torch.Generator, count: int) -> tuple[Tensor, Tensor]:
    """Responses whose values come from one distribution, whatever their kind: only their arrangement differs.

    float64 (4 count, C, H, W) and the kinds, int64 (4 count,): not smooth, smooth along rows, along columns, along both.
    """
    maps, labels = [], []
    for kind in range(len(KINDS)):
        noise = normal(generator, count, CHANNELS, PIXELS, PIXELS)
        if kind in (1, 3):
            noise = noise + noise.roll(1, -1)
        if kind in (2, 3):
            noise = noise + noise.roll(1, -2)
        # The ranks of the texture, the values of a normal sample after a ReLU: half of them 0.
        values = normal(generator, count, CHANNELS, PIXELS**2).relu().sort(-1).values
        ranks = noise.flatten(-2).argsort(-1).argsort(-1)
        maps.append(values.gather(-1, ranks).view_as(noise))
        labels.append(torch.full((count,), kind))
    return torch.cat(maps), torch.cat(labels)


def told_apart(train: Tensor, test: Tensor, labels: Tensor) -> float:
    """Share of test codes nearest to the mean of their own kind, every number scaled by its spread over `train`."""
    scale = train.std(0).clamp(min=1e-9)
    means = torch.stack([train[labels == kind].mean(0) for kind in range(len(KINDS))])
    return float((torch.cdist(test / scale, means / scale).argmin(-1) == labels).double().mean())


def _richer_code(answer: object, generator: torch.Generator) -> str:
    own = function(answer)
    room = 4 * CHANNELS
    mine, paper = [], []
    for _ in range(CODE_SETS):
        train, labels = textures(generator, PICTURES)
        test, _ = textures(generator, PICTURES)
        codes = [call(own, maps, shape=(len(maps), None), example="for fresh responses") for maps in (train, test)]
        length = codes[0].shape[1]
        require(
            length <= room,
            f"your code has {length} numbers for {CHANNELS} channels; {room} are allowed, four per channel.",
        )
        require(length > 0, "your code is empty.")
        some = torch.randperm(len(test), generator=generator)[:7]
        alone = call(own, test[some], shape=(7, length), example="for seven responses")
        require(
            close(alone, codes[1][some], 1e-3),
            "a response has another code when other pictures stand beside it. A code must depend on its own response alone.",
        )
        mine.append(told_apart(*codes, labels))
        paper.append(told_apart(*(activations.vector_codes(maps) for maps in (train, test)), labels))
    own_share, paper_share = (sum(values) / CODE_SETS for values in (mine, paper))
    beside = f"Told apart: yours {own_share:.0%}, the paper's code {paper_share:.0%}, chance {1 / len(KINDS):.0%}."
    require(own_share > paper_share + CODE_LEAD / 2, f"no better than the paper's code. {beside}")
    require(
        own_share > paper_share + CODE_LEAD, f"better than the paper's code, but by less than {CODE_LEAD:.0%}. {beside}"
    )
    return (
        f"your code keeps what the paper's loses. {beside} Now map the stages of this chapter with it, and their twins."
    )


EXERCISES = (
    Exercise(
        key="torus_by_hand",
        chapter=CHAPTER,
        title="A torus by hand",
        difficulty="warm-up",
        minutes=5,
        task="""
            A map of 20 × 20 units has no border: beyond row 19 comes row 0 again, and so with columns. Which way is the
            shortest from row 2, column 3 to row 18, column 17? Give the steps down, then those to the right; up and left are
            negative. And which place, by its row and column, is farthest of all from (2, 3)?
            """,
        name="mine",
        stub="# The way: down, right. The farthest place: row, column.\nmine = [[..., ...], [..., ...]]",
        hints=(
            "Draw a ring of 20 places. Both directions of the map are such a ring. Go the shorter way round in each.",
            "On a ring, how far is the opposite place?",
        ),
        solution="mine = [[-4, -6], [12, 13]]",
        explanation=r"""
            Four up, across the border (2 to 18), and six to the left, across the other one (3 to 17): a distance of
            $\sqrt{16 + 36} \approx 7.2$. The farthest place is ten away in both directions, at
            $\sqrt{200} \approx 14.1$.
            """,
        mistakes=(
            Mistake("not wrapped", "mine = [[16, 14], [12, 13]]", "not wrapped around the torus"),
            Mistake("from the end to the start", "mine = [[4, 6], [12, 13]]", "from the end back to the start"),
            Mistake("rows and columns exchanged", "mine = [[-6, -4], [12, 13]]", "rows and columns are exchanged"),
            Mistake("the corner is farthest", "mine = [[-4, -6], [19, 19]]", "a torus has no corners"),
            Mistake(
                "half of the map is farthest", "mine = [[-4, -6], [10, 10]]", "there are places farther from the start"
            ),
            Mistake(
                "the farthest place exchanged",
                "mine = [[-4, -6], [13, 12]]",
                "rows and columns are exchanged in your farthest place",
            ),
            Mistake("counted wrongly", "mine = [[-5, -6], [12, 13]]", "your way leads to (17, 17)"),
        ),
        test=_by_hand,
    ),
    Exercise(
        key="torus_distance",
        chapter=CHAPTER,
        title="Distance on a torus",
        difficulty="easy",
        minutes=15,
        task="""
            Write `torus_distance(a, b, grid)`. `a` and `b` hold `N` places (row, column) each; `grid` is the number of rows
            and of columns, which may differ. The result has the distance of each pair: the straight line, by the shorter way
            round in both directions.
            """,
        name="torus_distance",
        stub='''
            def torus_distance(a, b, grid):
                """Distances on a torus: float (N, 2), float (N, 2), two ints to float (N,)."""
                ...
            ''',
        hints=(
            "How many steps are it in one direction without a border? And the other way round?",
            "Take the smaller of both, for rows and columns on their own. Then Pythagoras.",
        ),
        solution='''
            def torus_distance(a, b, grid):
                """Distances on a torus: float (N, 2), float (N, 2), two ints to float (N,)."""
                steps = (a - b).abs()
                steps = torch.minimum(steps, torch.tensor(grid) - steps)
                return steps.square().sum(-1).sqrt()
            ''',
        explanation=r"""
            Each direction is a ring: from $i$ to $j$ there are $|i - j|$ steps one way and side $- |i - j|$ the other. No
            distance is larger than $\tfrac12 \sqrt{m^2 + n^2}$.
            """,
        mistakes=(
            Mistake(
                "not wrapped",
                """
                def torus_distance(a, b, grid):
                    return (a - b).norm(dim=-1)
                """,
                "not wrapped around the torus",
            ),
            Mistake(
                "one way round only",
                """
                def torus_distance(a, b, grid):
                    return (a - b).remainder(torch.tensor(grid)).norm(dim=-1)
                """,
                "not symmetric",
            ),
            Mistake(
                "steps added",
                """
                def torus_distance(a, b, grid):
                    steps = (a - b).abs()
                    return torch.minimum(steps, torch.tensor(grid) - steps).sum(-1)
                """,
                "you add the steps in the two directions",
            ),
            Mistake(
                "no root",
                """
                def torus_distance(a, b, grid):
                    steps = (a - b).abs()
                    return torch.minimum(steps, torch.tensor(grid) - steps).square().sum(-1)
                """,
                "the root is missing",
            ),
            Mistake(
                "a square map",
                """
                def torus_distance(a, b, grid):
                    steps = (a - b).abs().remainder(grid[0])
                    return torch.minimum(steps, grid[0] - steps).norm(dim=-1)
                """,
                "columns are not wrapped with the number of columns",
            ),
            Mistake(
                "only columns wrapped",
                """
                def torus_distance(a, b, grid):
                    steps = (a - b).abs()
                    steps[:, 1] = torch.minimum(steps[:, 1], grid[1] - steps[:, 1])
                    return steps.norm(dim=-1)
                """,
                "rows are not wrapped with the number of rows",
            ),
            Mistake(
                "rows and columns of the grid exchanged",
                """
                def torus_distance(a, b, grid):
                    steps = (a - b).abs()
                    return torch.minimum(steps, torch.tensor(grid[::-1]) - steps).norm(dim=-1)
                """,
                "rows and columns of `grid` are exchanged",
            ),
            Mistake(
                "both directions at once",
                """
                def torus_distance(a, b, grid):
                    steps = (a - b).abs()
                    return torch.minimum(steps.norm(dim=-1), (torch.tensor(grid) - steps).norm(dim=-1))
                """,
                "Each has its own shorter way",
            ),
        ),
        test=_torus_distance,
    ),
    Exercise(
        key="participation_ratio",
        chapter=CHAPTER,
        title="How many dimensions?",
        difficulty="medium",
        minutes=20,
        task=r"""
            Write `participation_ratio(codes)`, the effective number of dimensions
            $\left(\sum \lambda\right)^2 / \sum \lambda^2$, where $\lambda$ are the variances of the codes along their
            principal axes. `codes` has a row for each of `N` pictures and a column for each of `D` numbers.
            """,
        name="participation_ratio",
        stub='''
            def participation_ratio(codes):
                """Effective number of dimensions: float (N, D) to a number."""
                ...
            ''',
        hints=(
            "`torch.linalg.svdvals` or `torch.linalg.eigvalsh` finds the variances. Of which matrix?",
            "You need no eigenvalue at all: their sum is the trace of the covariance. What is the sum of their squares?",
        ),
        solution='''
            def participation_ratio(codes):
                """Effective number of dimensions: float (N, D) to a number."""
                variances = torch.linalg.svdvals(codes - codes.mean(0)) ** 2
                return variances.sum() ** 2 / (variances**2).sum()
            ''',
        explanation=r"""
            Singular values of the centred codes, squared, are the variances times $N - 1$; that factor cancels. Without any
            eigenvalue: the trace of the covariance, squared, over the sum of its squared entries.
            """,
        mistakes=(
            Mistake(
                "singular values not squared",
                """
                def participation_ratio(codes):
                    values = torch.linalg.svdvals(codes - codes.mean(0))
                    return values.sum() ** 2 / (values**2).sum()
                """,
                "singular values, not squared",
            ),
            Mistake(
                "not centred",
                """
                def participation_ratio(codes):
                    values = torch.linalg.svdvals(codes) ** 2
                    return values.sum() ** 2 / (values**2).sum()
                """,
                "the mean of each column is not taken away",
            ),
            Mistake(
                "variances of the columns",
                """
                def participation_ratio(codes):
                    values = codes.var(0)
                    return values.sum() ** 2 / (values**2).sum()
                """,
                "not along principal axes",
            ),
            Mistake(
                "pictures as variables",
                """
                def participation_ratio(codes):
                    values = torch.linalg.eigvalsh(torch.cov(codes))
                    return values.sum() ** 2 / (values**2).sum()
                """,
                "the mean of each row is taken away",
            ),
            Mistake(
                "one mean of all",
                """
                def participation_ratio(codes):
                    values = torch.linalg.svdvals(codes - codes.mean()) ** 2
                    return values.sum() ** 2 / (values**2).sum()
                """,
                "the mean of each column is not taken away",
            ),
            Mistake(
                "correlations",
                """
                def participation_ratio(codes):
                    values = torch.linalg.eigvalsh(torch.corrcoef(codes.T))
                    return values.sum() ** 2 / (values**2).sum()
                """,
                "divided by its deviation",
            ),
            Mistake(
                "all entries instead of the trace",
                """
                def participation_ratio(codes):
                    cov = torch.cov(codes.T)
                    return cov.trace() ** 2 / (cov @ cov).sum()
                """,
                "not the sum of its entries",
            ),
            Mistake(
                "upside down",
                """
                def participation_ratio(codes):
                    values = torch.linalg.svdvals(codes - codes.mean(0)) ** 2
                    return (values**2).sum() / values.sum() ** 2
                """,
                "this is upside down",
            ),
            Mistake(
                "numerator not squared",
                """
                def participation_ratio(codes):
                    values = torch.linalg.eigvalsh(torch.cov(codes.T))
                    return values.sum() / (values**2).sum()
                """,
                "when all codes are scaled by one number",
            ),
            Mistake(
                "the entropy's number",
                """
                def participation_ratio(codes):
                    values = torch.linalg.svdvals(codes - codes.mean(0)) ** 2
                    share = values / values.sum()
                    return torch.exp(torch.special.entr(share).sum())
                """,
                "this is another effective number",
            ),
        ),
        test=_participation_ratio,
    ),
    Exercise(
        key="som_step",
        chapter=CHAPTER,
        title="One step of a map",
        difficulty="medium",
        minutes=30,
        task=r"""
            Write one step of {eq}`eq-som` for a single input: `som_step(weights, x, grid, rate, sigma)`. Unit $u$ has the
            weights `weights[u]` and sits at row `u // n`, column `u % n` of an $m \times n$ torus, `grid` $= (m, n)$. The
            winner has the smallest cosine distance. `rate` is $\alpha$, `sigma` is $\sigma$. Give back the new weights of all
            units.
            """,
        name="som_step",
        stub='''
            def som_step(weights, x, grid, rate, sigma):
                """New weights of all units: float (units, D), float (D,), two ints, float, float to float (units, D)."""
                ...
            ''',
        hints=(
            "Four parts: the winner; the place of every unit; its distance to the winner on the torus; the step.",
            r"A unit moves by a share of $x - W_v$. The winner's share is the rate itself, since its $d$ is 0.",
        ),
        solution='''
            def som_step(weights, x, grid, rate, sigma):
                """New weights of all units: float (units, D), float (D,), two ints, float, float to float (units, D)."""
                winner = torch.cosine_similarity(weights, x[None], dim=-1).argmax()
                units, sides = torch.arange(len(weights)), torch.tensor(grid)
                places = torch.stack([units // grid[1], units % grid[1]], -1)
                steps = (places - places[winner]).abs()
                squares = torch.minimum(steps, sides - steps).square().sum(-1)
                share = rate * torch.exp(-squares / (2 * sigma**2))
                return weights + share[:, None] * (x - weights)
            ''',
        explanation=r"""
            The input decides who wins, the *grid* decides who follows. That is why neighbours on the map end up alike. (The
            book adds $10^{-5}$ to $2 \sigma^2$, as the paper's library does, so that nothing is divided by 0.)
            """,
        mistakes=(
            Mistake(
                "winner by length",
                """
                from innercodes import telescope


                def som_step(weights, x, grid, rate, sigma):
                    winner = (weights - x).norm(dim=-1).argmin()
                    share = rate * torch.exp(-telescope.grid_distances(grid)[winner] ** 2 / (2 * sigma**2))
                    return weights + share[:, None] * (x - weights)
                """,
                "the one with the smallest norm of x − W",
            ),
            Mistake(
                "winner by product",
                """
                from innercodes import telescope


                def som_step(weights, x, grid, rate, sigma):
                    winner = (weights @ x).argmax()
                    share = rate * torch.exp(-telescope.grid_distances(grid)[winner] ** 2 / (2 * sigma**2))
                    return weights + share[:, None] * (x - weights)
                """,
                "the one with the largest product",
            ),
            Mistake(
                "the smallest cosine",
                """
                from innercodes import telescope


                def som_step(weights, x, grid, rate, sigma):
                    winner = torch.cosine_similarity(weights, x[None], dim=-1).argmin()
                    share = rate * torch.exp(-telescope.grid_distances(grid)[winner] ** 2 / (2 * sigma**2))
                    return weights + share[:, None] * (x - weights)
                """,
                "the one least like x",
            ),
            Mistake(
                "places by the number of rows",
                """
                def som_step(weights, x, grid, rate, sigma):
                    winner = torch.cosine_similarity(weights, x[None], dim=-1).argmax()
                    units, sides = torch.arange(len(weights)), torch.tensor(grid)
                    places = torch.stack([units // grid[0], units % grid[0]], -1)
                    steps = (places - places[winner]).abs()
                    squares = torch.minimum(steps, sides - steps).square().sum(-1)
                    share = rate * torch.exp(-squares / (2 * sigma**2))
                    return weights + share[:, None] * (x - weights)
                """,
                "Where are the units 0 to n − 1?",
            ),
            Mistake(
                "a division too few",
                """
                from innercodes import telescope


                def som_step(weights, x, grid, rate, sigma):
                    winner = torch.cosine_similarity(weights, x[None], dim=-1).argmax()
                    share = rate * torch.exp(-telescope.grid_distances(grid)[winner] ** 2 / 2 * sigma**2)
                    return weights + share[:, None] * (x - weights)
                """,
                "sigma multiplies in your exponent",
            ),
            Mistake(
                "the steps alone",
                """
                from innercodes import telescope


                def som_step(weights, x, grid, rate, sigma):
                    winner = torch.cosine_similarity(weights, x[None], dim=-1).argmax()
                    share = rate * torch.exp(-telescope.grid_distances(grid)[winner] ** 2 / (2 * sigma**2))
                    return share[:, None] * (x - weights)
                """,
                "these are the steps alone",
            ),
            Mistake(
                "not wrapped",
                """
                def som_step(weights, x, grid, rate, sigma):
                    winner = torch.cosine_similarity(weights, x[None], dim=-1).argmax()
                    units = torch.arange(len(weights))
                    places = torch.stack([units // grid[1], units % grid[1]], -1)
                    squares = (places - places[winner]).square().sum(-1)
                    share = rate * torch.exp(-squares / (2 * sigma**2))
                    return weights + share[:, None] * (x - weights)
                """,
                "not wrapped around the torus",
            ),
            Mistake(
                "neighbourhood among weights",
                """
                def som_step(weights, x, grid, rate, sigma):
                    winner = torch.cosine_similarity(weights, x[None], dim=-1).argmax()
                    squares = (weights - weights[winner]).square().sum(-1)
                    share = rate * torch.exp(-squares / (2 * sigma**2))
                    return weights + share[:, None] * (x - weights)
                """,
                "Measure d on the grid",
            ),
            Mistake(
                "adds x",
                """
                from innercodes import telescope


                def som_step(weights, x, grid, rate, sigma):
                    winner = torch.cosine_similarity(weights, x[None], dim=-1).argmax()
                    share = rate * torch.exp(-telescope.grid_distances(grid)[winner] ** 2 / (2 * sigma**2))
                    return weights + share[:, None] * x
                """,
                "you add a part of x to the weights",
            ),
            Mistake(
                "only the winner",
                """
                def som_step(weights, x, grid, rate, sigma):
                    new = weights.clone()
                    winner = torch.cosine_similarity(weights, x[None], dim=-1).argmax()
                    new[winner] += rate * (x - weights[winner])
                    return new
                """,
                "only the winner moves in yours",
            ),
            Mistake(
                "no neighbourhood",
                """
                def som_step(weights, x, grid, rate, sigma):
                    return weights + rate * (x - weights)
                """,
                "all units move by the same share",
            ),
            Mistake(
                "the 2 forgotten",
                """
                from innercodes import telescope


                def som_step(weights, x, grid, rate, sigma):
                    winner = torch.cosine_similarity(weights, x[None], dim=-1).argmax()
                    share = rate * torch.exp(-telescope.grid_distances(grid)[winner] ** 2 / sigma**2)
                    return weights + share[:, None] * (x - weights)
                """,
                "the 2 in the exponent is missing",
            ),
            Mistake(
                "away from x",
                """
                from innercodes import telescope


                def som_step(weights, x, grid, rate, sigma):
                    winner = torch.cosine_similarity(weights, x[None], dim=-1).argmax()
                    share = rate * torch.exp(-telescope.grid_distances(grid)[winner] ** 2 / (2 * sigma**2))
                    return weights + share[:, None] * (weights - x)
                """,
                "units move away from x",
            ),
        ),
        test=_som_step,
    ),
    Exercise(
        key="relative_spread",
        chapter=CHAPTER,
        title="Compact, but against what?",
        difficulty="hard",
        minutes=40,
        task="""
            Write `relative_spread(places, labels, grid)`: the *spread* of the classes on the map, divided by the spread of the
            same places with shuffled labels. `places` are whole (row, column) of `N` inputs on a torus, `grid` its number of
            rows and of columns, which may differ; `labels` are the classes. The centre of a class: take its most frequent
            place, any of them where several are; move every other place to the copy nearest to it; average. The spread is
            the mean distance, in a straight line, of these copies to the centre of their class. Average the shuffled spread
            over at least 20 shuffles. A number near 1 then means: no more compact than chance.
            """,
        name="relative_spread",
        stub='''
            def relative_spread(places, labels, grid):
                """Mean distance to the class centre, over that of shuffled labels: int (N, 2), int (N,), two ints to a number."""
                ...
            ''',
        hints=(
            "Write a function for one spread first. Call it once with the labels and 20 times with "
            "`labels[torch.randperm(len(labels))]`.",
            "The shortest step from the most frequent place to another, with its sign: "
            "`(step + side / 2) % side - side / 2`. Average these steps, then measure distances to the average.",
        ),
        solution='''
            def spread(places, labels, sides):
                far = []
                for label in labels.unique():
                    own = places[labels == label]
                    different, counts = own.unique(dim=0, return_counts=True)
                    steps = (own - different[counts.argmax()] + sides / 2).remainder(sides) - sides / 2
                    far.append((steps - steps.mean(0)).norm(dim=-1))
                return torch.cat(far).mean()


            def relative_spread(places, labels, grid):
                """Mean distance to the class centre, over that of shuffled labels: int (N, 2), int (N,), two ints to a number."""
                sides = torch.tensor(grid)
                shuffled = [spread(places, labels[torch.randperm(len(labels))], sides) for _ in range(20)]
                return spread(places, labels, sides) / torch.stack(shuffled).mean()
            ''',
        explanation="""
            Shuffled labels keep everything but the meaning: the size of the map, how unevenly it is used, and how many inputs
            a class has. Each of these moves the plain spread. With the whole data about one centre as the yardstick, small
            classes would look compact; with uniform places, so would any class on a busy corner.
            """,
        mistakes=(
            Mistake(
                "no baseline",
                """
                def relative_spread(places, labels, grid):
                    sides, far = torch.tensor(grid), []
                    for label in labels.unique():
                        own = places[labels == label]
                        different, counts = own.unique(dim=0, return_counts=True)
                        steps = (own - different[counts.argmax()] + sides / 2).remainder(sides) - sides / 2
                        far.append((steps - steps.mean(0)).norm(dim=-1))
                    return torch.cat(far).mean()
                """,
                "What is the spread divided by?",
            ),
            Mistake(
                "not unfolded",
                """
                def spread(places, labels):
                    places = places.double()
                    return torch.cat([
                        (places[labels == k] - places[labels == k].mean(0)).norm(dim=-1) for k in labels.unique()
                    ]).mean()


                def relative_spread(places, labels, grid):
                    shuffled = [spread(places, labels[torch.randperm(len(labels))]) for _ in range(20)]
                    return spread(places, labels) / torch.stack(shuffled).mean()
                """,
                "a class cut by the border must be unfolded first",
            ),
            Mistake(
                "all inputs as one class",
                """
                def spread(places, labels, sides):
                    far = []
                    for label in labels.unique():
                        own = places[labels == label]
                        different, counts = own.unique(dim=0, return_counts=True)
                        steps = (own - different[counts.argmax()] + sides / 2).remainder(sides) - sides / 2
                        far.append((steps - steps.mean(0)).norm(dim=-1))
                    return torch.cat(far).mean()


                def relative_spread(places, labels, grid):
                    sides = torch.tensor(grid)
                    return spread(places, labels, sides) / spread(places, torch.zeros_like(labels), sides)
                """,
                "compare with groups of the same size",
            ),
            Mistake(
                "places thrown over the whole map",
                """
                def spread(places, labels, sides):
                    far = []
                    for label in labels.unique():
                        own = places[labels == label]
                        different, counts = own.unique(dim=0, return_counts=True)
                        steps = (own - different[counts.argmax()] + sides / 2).remainder(sides) - sides / 2
                        far.append((steps - steps.mean(0)).norm(dim=-1))
                    return torch.cat(far).mean()


                def relative_spread(places, labels, grid):
                    sides = torch.tensor(grid)
                    thrown = [
                        spread((torch.rand(len(places), 2) * sides).long(), labels, sides) for _ in range(20)
                    ]
                    return spread(places, labels, sides) / torch.stack(thrown).mean()
                """,
                "Compare with the same places and shuffled labels",
            ),
            Mistake(
                "squared distances",
                """
                def spread(places, labels, sides):
                    far = []
                    for label in labels.unique():
                        own = places[labels == label]
                        different, counts = own.unique(dim=0, return_counts=True)
                        steps = (own - different[counts.argmax()] + sides / 2).remainder(sides) - sides / 2
                        far.append((steps - steps.mean(0)).square().sum(-1))
                    return torch.cat(far).mean()


                def relative_spread(places, labels, grid):
                    sides = torch.tensor(grid)
                    shuffled = [spread(places, labels[torch.randperm(len(labels))], sides) for _ in range(20)]
                    return spread(places, labels, sides) / torch.stack(shuffled).mean()
                """,
                "A distance is wanted, not its square",
            ),
            Mistake(
                "the most frequent place as the centre",
                """
                def spread(places, labels, sides):
                    far = []
                    for label in labels.unique():
                        own = places[labels == label]
                        different, counts = own.unique(dim=0, return_counts=True)
                        steps = (own - different[counts.argmax()] + sides / 2).remainder(sides) - sides / 2
                        far.append(steps.norm(dim=-1))
                    return torch.cat(far).mean()


                def relative_spread(places, labels, grid):
                    sides = torch.tensor(grid)
                    shuffled = [spread(places, labels[torch.randperm(len(labels))], sides) for _ in range(20)]
                    return spread(places, labels, sides) / torch.stack(shuffled).mean()
                """,
                "not the most frequent place",
            ),
            Mistake(
                "the most frequent row and column",
                """
                def spread(places, labels, sides):
                    far = []
                    for label in labels.unique():
                        own = places[labels == label]
                        steps = (own - own.mode(0).values + sides / 2).remainder(sides) - sides / 2
                        far.append((steps - steps.mean(0)).norm(dim=-1))
                    return torch.cat(far).mean()


                def relative_spread(places, labels, grid):
                    sides = torch.tensor(grid)
                    shuffled = [spread(places, labels[torch.randperm(len(labels))], sides) for _ in range(20)]
                    return spread(places, labels, sides) / torch.stack(shuffled).mean()
                """,
                "a pair of row and column",
            ),
            Mistake(
                "places shuffled with the labels",
                """
                def spread(places, labels, sides):
                    far = []
                    for label in labels.unique():
                        own = places[labels == label]
                        different, counts = own.unique(dim=0, return_counts=True)
                        steps = (own - different[counts.argmax()] + sides / 2).remainder(sides) - sides / 2
                        far.append((steps - steps.mean(0)).norm(dim=-1))
                    return torch.cat(far).mean()


                def relative_spread(places, labels, grid):
                    sides = torch.tensor(grid)
                    orders = [torch.randperm(len(labels)) for _ in range(20)]
                    shuffled = [spread(places[order], labels[order], sides) for order in orders]
                    return spread(places, labels, sides) / torch.stack(shuffled).mean()
                """,
                "Shuffle the labels alone",
            ),
            Mistake(
                "a square map",
                """
                def spread(places, labels, sides):
                    far = []
                    for label in labels.unique():
                        own = places[labels == label]
                        different, counts = own.unique(dim=0, return_counts=True)
                        steps = (own - different[counts.argmax()] + sides / 2).remainder(sides) - sides / 2
                        far.append((steps - steps.mean(0)).norm(dim=-1))
                    return torch.cat(far).mean()


                def relative_spread(places, labels, grid):
                    sides = grid[0]
                    shuffled = [spread(places, labels[torch.randperm(len(labels))], sides) for _ in range(20)]
                    return spread(places, labels, sides) / torch.stack(shuffled).mean()
                """,
                "Rows and columns have sides of their own",
            ),
            Mistake(
                "a single shuffle",
                """
                def spread(places, labels, sides):
                    far = []
                    for label in labels.unique():
                        own = places[labels == label]
                        different, counts = own.unique(dim=0, return_counts=True)
                        steps = (own - different[counts.argmax()] + sides / 2).remainder(sides) - sides / 2
                        far.append((steps - steps.mean(0)).norm(dim=-1))
                    return torch.cat(far).mean()


                def relative_spread(places, labels, grid):
                    sides = torch.tensor(grid)
                    shuffled = [spread(places, labels[torch.randperm(len(labels))], sides) for _ in range(1)]
                    return spread(places, labels, sides) / torch.stack(shuffled).mean()
                """,
                "Average over more shuffles",
            ),
            Mistake(
                "upside down",
                """
                def spread(places, labels, sides):
                    far = []
                    for label in labels.unique():
                        own = places[labels == label]
                        different, counts = own.unique(dim=0, return_counts=True)
                        steps = (own - different[counts.argmax()] + sides / 2).remainder(sides) - sides / 2
                        far.append((steps - steps.mean(0)).norm(dim=-1))
                    return torch.cat(far).mean()


                def relative_spread(places, labels, grid):
                    sides = torch.tensor(grid)
                    shuffled = [spread(places, labels[torch.randperm(len(labels))], sides) for _ in range(20)]
                    return torch.stack(shuffled).mean() / (spread(places, labels, sides) + 1e-9)
                """,
                "What is divided by what?",
            ),
        ),
        test=_relative_spread,
    ),
    Exercise(
        key="richer_code",
        chapter=CHAPTER,
        title="A richer code",
        difficulty="open",
        minutes=90,
        task="""
            The paper keeps four numbers per channel: maximum, mean, deviation, centre of mass. Move the values of a response to
            other pixels, and the first three stay. What is lost? Write `richer_code(maps)`: a code of at most four numbers per
            channel that tells *textures* apart, arrangements of the values. `maps` holds the responses of `B` pictures. A code
            may look at its own response only, not at those of other pictures.

            The check makes fresh responses of four kinds. Their values come from one distribution; only the arrangement
            differs. Other fresh responses are given to the kind whose mean code is nearest. With your code this must be right
            for at least 20 of 100 more than with the paper's.

            Then it is research. Code the stages of this chapter with it. Do classes shrink with depth as before? And in the
            untrained twin?
            """,
        name="richer_code",
        stub='''
            def richer_code(maps):
                """A short code of each response: float (B, C, H, W) to float (B, at most 4 C)."""
                ...
            ''',
        hints=(
            "Neighbouring pixels of a smooth response are alike. Which number says so?",
            "Multiply the response by itself, moved by one pixel, and take the mean. Along rows and along columns.",
        ),
        solution='''
            def richer_code(maps):
                """A short code of each response: float (B, C, H, W) to float (B, at most 4 C)."""
                across = (maps[..., :, 1:] * maps[..., :, :-1]).mean((-2, -1))
                down = (maps[..., 1:, :] * maps[..., :-1, :]).mean((-2, -1))
                return torch.cat([maps.amax((-2, -1)), maps.mean((-2, -1)), across, down], -1)
            ''',
        explanation="""
            Two of the four numbers now say how like neighbours are, along rows and along columns. Many other codes do as well:
            the power of a few frequencies, or the size of differences. Which of them shows the telescope best is open.
            """,
        mistakes=(
            Mistake(
                "the paper's code",
                """
                from innercodes import activations


                def richer_code(maps):
                    return activations.vector_codes(maps)
                """,
                "no better than the paper's code",
            ),
            Mistake(
                "all pixels",
                """
                def richer_code(maps):
                    return maps.flatten(1)
                """,
                "are allowed, four per channel",
            ),
            Mistake(
                "scaled by the batch",
                """
                def richer_code(maps):
                    across = (maps[..., :, 1:] * maps[..., :, :-1]).mean((-2, -1))
                    down = (maps[..., 1:, :] * maps[..., :-1, :]).mean((-2, -1))
                    codes = torch.cat([across, down], -1)
                    return (codes - codes.mean(0)) / codes.std(0)
                """,
                "A code must depend on its own response alone",
            ),
            Mistake(
                "four pixels",
                """
                def richer_code(maps):
                    return maps[..., ::4, ::4].flatten(1)
                """,
                "no better than the paper's code",
            ),
        ),
        test=_richer_code,
    ),
)
