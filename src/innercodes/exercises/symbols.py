"""The exercises of chapter 01: a map by hand, nine cells, clouds without clusters, scores, chance levels, and attacks."""

import math

import torch
from torch import Tensor

from innercodes import symbols
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

CHAPTER = "01_symbols"

# By hand

SEEN = ((6, 2), (0, 4))
"""How often two symbols were seen with the classes A and B: the map of the first exercise."""
CELLS = (0, 0, 0, 1)
"""The symbols of its picture."""


def _by_hand(answer: object, generator: torch.Generator) -> str:
    mine = numbers(answer, (2,))
    counts = torch.tensor(SEEN).double()
    read = torch.tensor(CELLS)
    rows = counts / counts.sum(1, keepdim=True)
    wanted = rows[read].mean(0)
    columns = (counts / counts.sum(0))[read].mean(0)
    votes = torch.nn.functional.one_hot(rows[read].argmax(1), 2)
    typical = [
        (wanted.flip(0), "the two classes are exchanged: A comes first."),
        (columns, "you divide by what is seen of a *class*. Read the map by symbol: what does each row add up to?"),
        ((counts / counts.sum())[read].mean(0), "you divide by all cells of the map. Divide each row by its own sum."),
        (rows.mean(0), "each symbol counts once in yours. The picture has one of them in three cells."),
        (rows[read].sum(0), "this is the sum over the cells. Their mean is wanted."),
        (rows[read].prod(0), "this is the product over the cells. Their mean is wanted."),
        (votes.double().mean(0), "each cell votes for one class in yours. It must give each its share."),
        (counts[read].sum(0) / counts[read].sum(), "you add up counts first: a frequent symbol then says more. Cells must say alike."),
    ]  # fmt: skip
    agrees = bool(((mine - wanted).abs() < 0.006).all())
    if not agrees:
        for guess, reason in typical:
            if bool(((mine - torch.as_tensor(guess)).abs() < 0.006).all()):
                raise NotYet(reason)
        require(
            abs(float(mine.sum()) - 1) < 0.012,
            "a cell shares out 1 between the classes, and so does a mean of cells; yours do not add up to 1.",
        )
    require(agrees, "they add up to 1, but not every cell says what its row says.")
    return "each cell says what its symbol knows, and the mean names the class."


# Nine cells


def _pool_cells(answer: object, generator: torch.Generator) -> str:
    own = function(answer)
    for _ in range(4):
        down, right = whole(generator, 2, 4), whole(generator, 5, 7)
        channels = whole(generator, 4, 6)
        response = normal(generator, channels, 3 * down, 3 * right)
        # One cell without a number above 0: the largest is what is wanted, whatever its sign.
        response[:, :down, :right] = -response[:, :down, :right].abs() - 0.1
        example = f"for {channels} channels of {3 * down} × {3 * right} pixels"
        mine = call(own, response, shape=(9, channels), example=example)
        blocks = response.view(channels, 3, down, 3, right).transpose(2, 3)  # (C, 3, 3, down, right)
        typical = [
            (blocks.mean((-2, -1)).flatten(1).T, "this is the mean of each cell. The largest number is wanted."),
            (blocks.amax((-2, -1)).transpose(1, 2).flatten(1).T, "your cells run down the columns. They must run along the rows."),
            (blocks.amax((-2, -1)).flatten(1).reshape(9, channels), "rows mix different cells: reshaping does not exchange dimensions."),
            (blocks[..., 0, 0].flatten(1).T, "you take the first pixel of each cell. What about the others?"),
            (blocks.abs().amax((-2, -1)).flatten(1).T, "you take the largest size, without its sign."),
            (blocks.clamp(min=0).amax((-2, -1)).flatten(1).T, "you begin at 0. If all numbers of a cell are below 0, so is the largest."),
            (blocks.amin((-2, -1)).flatten(1).T, "this is the smallest number of each cell."),
        ]  # fmt: skip
        # A pixel that is raised far above all others is the answer of its own cell and channel, and changes no other one.
        # Its place is drawn anew for each cell, so that no place within a cell can be left out.
        for spot in range(9):
            channel = whole(generator, 0, channels - 1)
            row = spot // 3 * down + whole(generator, 0, down - 1)
            column = spot % 3 * right + whole(generator, 0, right - 1)
            top = between(generator, 50, 99)
            raised = response.clone()
            raised[channel, row, column] = top
            new = call(own, raised, shape=(9, channels), example=example)
            places = (new - mine).abs().gt(1).nonzero().tolist()
            require(
                places == [[spot, channel]],
                f"{example}: a large number in cell {spot} of channel {channel} must change that number alone.",
                mine,
                typical,
            )
            told = bool((new[spot, channel] - top).abs() < 1e-4)
            new[spot, channel] = mine[spot, channel]
            require(
                close(new, mine, 1e-6),
                f"{example}: a large number in one cell moves the others a little.",
                mine,
                typical,
            )
            require(told, f"{example}: a number above all others must be what its cell gives.", mine, typical)
        # A largest number is one of the numbers, and none is larger: both said of each cell, by its own pixels.
        pixels = blocks.flatten(3).flatten(1, 2).transpose(0, 1)  # (9, C, pixels)
        above = pixels - mine[:, :, None]
        require(
            bool((above <= 1e-6).all()) and bool((above.abs().amin(-1) <= 1e-6).all()),
            f"{example}: cells and channels are in their places, but not every number is the largest.",
            mine,
            typical,
        )
    return "nine vectors, and where in its cell a number stood no longer matters."


# A cloud without clusters


def _surrogate(answer: object, generator: torch.Generator) -> str:
    own = function(answer)
    count, size = 3000, 3
    axis = torch.nn.functional.normalize(normal(generator, size), dim=0)
    side = (torch.rand(count, generator=generator) < 0.5).double() * 2 - 1
    mixed = normal(generator, size, size) + 2 * torch.eye(size, dtype=torch.float64)
    # Two clusters far apart, whose columns go together.
    vectors = side[:, None] * 4 * axis + 0.6 * normal(generator, count, size) @ mixed.T / 2
    # Unequal scales, so that the squares of the covariance do not pass for it.
    vectors = vectors * torch.tensor([1.0, 1.5, 2.2], dtype=torch.float64) + 10 * normal(generator, size)
    example = f"for {count} vectors of {size} numbers"
    mine, again = (call(own, vectors, shape=(count, size), example=example) for _ in range(2))

    def ordered(points: Tensor) -> Tensor:
        return points[points[:, 0].argsort()]

    require(
        not close(ordered(mine), ordered(vectors), 1e-9), "these are the vectors themselves. New points must be drawn."
    )
    kept = torch.isin(mine[:, 0], vectors[:, 0]).double().mean()
    covariance, found = torch.cov(vectors.T), torch.cov(mine.T)
    scale = covariance.diagonal().sqrt()
    gap = ((mine.mean(0) - vectors.mean(0)) / scale).abs().max()
    centred = (mine.mean(0) / scale).abs().max() < 0.3 and (vectors.mean(0) / scale).abs().max() > 0.6
    require(not centred, "your points lie about 0: the mean of the vectors is missing.")

    def like(other: Tensor, tolerance: float = 0.12) -> bool:
        return bool(((found - other).abs() <= tolerance * other.diagonal().max()).all())

    relative = (found - covariance).abs() / (scale[:, None] * scale)
    if bool((relative > 0.12).any()):
        if like(torch.diag(covariance.diagonal())):
            raise NotYet("each column spreads as it should, but the columns no longer go together.")
        if like(covariance @ covariance):
            raise NotYet("you multiply by the covariance. Its *root* turns white noise into noise of this covariance.")
        if like(torch.eye(size, dtype=torch.float64)):
            raise NotYet("your points spread equally in all directions. The vectors do not.")
        raise NotYet("your points have another covariance than the vectors.")
    require(float(gap) < 0.15, "your points have another mean than the vectors.")
    require(
        float(kept) < 0.5, "you draw the vectors again, with repeats: then their clusters come along. Draw new points."
    )
    # Along the line between the two clusters there are two heaps; a Gaussian has one.
    line = torch.linalg.solve(covariance, vectors[side > 0].mean(0) - vectors[side < 0].mean(0))
    along = (mine - mine.mean(0)) @ line
    flatness = float((along**4).mean() / along.square().mean() ** 2)
    require(2.6 < flatness < 3.4, "mean and covariance are right, but along some line the points are no Gaussian.")
    require(not close(mine, again, 1e-9), "two calls give the same points. Draw them.")
    return "the same mean, the same covariance, and not a cluster in it."


# The expected symbol score


def _symbol_score(answer: object, generator: torch.Generator) -> str:
    own = function(answer)
    for _ in range(4):
        pictures, count, classes = whole(generator, 5, 8), whole(generator, 5, 7), whole(generator, 3, 4)
        counts = torch.randint(1, 40, (count, classes), generator=generator)
        read = torch.randint(0, count, (pictures, 9), generator=generator)
        said = torch.randint(0, classes, (pictures,), generator=generator)
        example = f"for {pictures} pictures, {count} symbols and {classes} classes"

        def score(read: Tensor = read, said: Tensor = said, counts: Tensor = counts, example: str = example) -> Tensor:
            return call(own, read, said, counts, shape=(len(read),), example=example)

        mine, table = score(), counts.double()
        given_class, given_symbol = table / table.sum(0), table / table.sum(1, keepdim=True)
        picked = given_class[read, said[:, None]]
        typical = [
            (given_symbol[read, said[:, None]].mean(1), "you divide by the sums of *symbols*. Ask how likely it is for the class."),
            ((table / table.sum())[read, said[:, None]].mean(1), "you divide by all cells. Divide by those of the predicted class."),
            (given_class[read].mean(1).amax(1), "you take the class that the symbols like best. The class is what the *network* says."),
            (given_class[read].mean((1, 2)), "you average over all classes. One of them is asked for."),
            (picked.sum(1), "this is the sum over the cells. Their mean is wanted."),
            (picked.prod(1), "this is the product over the cells: one odd cell decides. Their mean is wanted."),
            (picked.log().mean(1), "this is the mean of logarithms: one odd cell pulls it down. Average the shares themselves."),
            (picked.amin(1), "you take the least likely cell. The mean is wanted."),
            (table[read, said[:, None]].mean(1), "these are counts. A class that was seen often would always score high."),
        ]  # fmt: skip
        require(
            bool(((mine >= 0) & (mine <= 1)).all()),
            f"{example}: a mean of shares lies between 0 and 1; yours does not.",
            mine,
            typical,
            1e-5,
        )
        order = torch.randperm(9, generator=generator)
        require(
            close(score(read[:, order]), mine, 1e-5),
            f"{example}: cells in another order, and your score changes.",
            mine,
            typical,
            1e-5,
        )
        # What the shares of a class must be, whatever is divided by what: a picture that is one symbol throughout scores the
        # symbol's share. The shares of a class stand as its counts do, and add up to 1.
        alone = torch.stack(
            [
                score(
                    torch.arange(count)[:, None].expand(count, 9),
                    torch.full((count,), c),
                    example=f"for {count} pictures",
                )
                for c in range(classes)
            ],
            1,
        )
        require(
            close(alone.sum(0), torch.ones(classes).double(), 1e-5),
            f"{example}: how likely each symbol is for a class, added up over all symbols, must give 1.",
            mine,
            typical,
            1e-5,
        )
        require(
            close(alone * table[:1], table * alone[:1], 1e-5),
            f"{example}: a symbol seen twice as often with a class must be twice as likely for it.",
            mine,
            typical,
            1e-5,
        )
        # A mean: what a picture scores is made of its nine cells, each for itself and with the same weight.
        require(
            close(alone[read, said[:, None]].mean(1), mine, 1e-5),
            f"{example}: the shares that you average are not those of the cells' symbols.",
            mine,
            typical,
            1e-5,
        )
    return "likely symbols score high, and nothing but the predicted class is asked."


# Chance

PERMUTATIONS = 150


def bits(read: Tensor, labels: Tensor) -> float:
    """Mutual information of symbols int64 (N, cells) with labels int64 (N,) or (N, cells), in bits."""
    labels = labels[:, None].expand_as(read) if labels.ndim == 1 else labels
    columns = int(labels.max()) + 1
    table = torch.bincount((read * columns + labels).flatten(), minlength=columns * (int(read.max()) + 1))
    shares = table.view(-1, columns).double() / table.sum()
    apart = shares.sum(1, keepdim=True) * shares.sum(0)
    return float((shares * (shares / apart).log2()).nansum())


def _mostly(numbers: Tensor, share: float, count: int, generator: torch.Generator) -> Tensor:
    """Whole numbers, this share of them kept and the others drawn from 0 ... count - 1."""
    kept = torch.rand(numbers.shape, generator=generator) < share
    return torch.where(kept, numbers, torch.randint(0, count, numbers.shape, generator=generator))


def _chance_level(answer: object, generator: torch.Generator) -> str:
    own = function(answer)
    for _ in range(2):
        pictures, classes, count = whole(generator, 60, 90), 4, 5
        labels = torch.arange(pictures) % classes
        # Cells of one picture are alike, and tell something about the class.
        main = _mostly(labels, 0.5, count, generator)
        read = _mostly(main[:, None].expand(pictures, 9), 0.85, count, generator)
        example = f"for {pictures} pictures of {classes} classes"
        mine = float(call(own, read, labels, shape=(), example=example))

        def exchanged(read: Tensor, labels: Tensor) -> float:
            every = [labels[torch.randperm(len(labels), generator=generator)] for _ in range(PERMUTATIONS)]
            return sum(bits(read, one) for one in every) / PERMUTATIONS

        wanted, told = exchanged(read, labels), bits(read, labels)
        cells = read.flatten()
        apart = exchanged(cells[:, None], labels[:, None].expand_as(read).flatten())
        if abs(mine - wanted) <= 0.2 * wanted:
            continue
        typical = [
            (told, 0.01, "this is what the symbols tell about the *true* classes. Exchange the classes first."),
            (apart, 0.25, "you exchange the classes of cells. Nine cells of a picture go together: exchange whole pictures."),
            (wanted * math.log(2), 0.12, "these are not bits: take logarithms to the base 2."),
            (apart * math.log(2), 0.25, "you exchange the classes of cells, and these are not bits."),
            (told - wanted, 0.08, "this is what is left above chance. The chance level itself is wanted."),
            (9 * wanted, 0.15, "you add up the cells. A cell's information is wanted, all cells in one table."),
            (wanted / told, 0.15, "this is a share of what the symbols tell. Bits are wanted."),
        ]  # fmt: skip
        for guess, tolerance, reason in typical:
            if abs(mine - guess) <= tolerance * abs(guess):
                raise NotYet(reason)
        require(mine >= 0, f"{example}: information is not below 0.")
        if mine < 1e-9:
            raise NotYet(f"{example}: you say that chance tells nothing. With few pictures it always tells something.")
        one = call(own, read, torch.zeros_like(labels), shape=(), example="where all pictures have one class")
        require(abs(float(one)) < 1e-6, "where all pictures have one class there is nothing to tell; yours is not 0.")
        twice = float(call(own, read.repeat(1, 2), labels, shape=(), example="with each cell twice"))
        require(
            abs(twice - mine) <= 0.3 * abs(mine), "with each cell twice no picture is added; your chance level changes."
        )
        way = "less" if mine > wanted else "more"
        raise NotYet(f"{example}: exchanged classes tell {way} than in yours, on average over many exchanges.")
    return "whole pictures are exchanged, so that what goes together stays together."


# Attacked, or an error?

KNOWN, HIDDEN, PICTURES = 16, 7, 400
ENOUGH = 0.9


def made_stages(generator: torch.Generator, attacked: bool) -> Tensor:
    """What the symbols of eight stages name, the last stage last: int64 (PICTURES, HIDDEN + 1); both kinds are wrong at the end.

    The early stages of an error name this and that. Those of an attacked picture mostly name its true class.
    """

    def some(*shape: int) -> Tensor:
        return torch.randint(0, KNOWN, shape, generator=generator)

    said = some(PICTURES, 1)
    follow = torch.rand(PICTURES, HIDDEN, generator=generator)
    other = (said + 1 + torch.randint(0, KNOWN - 1, (PICTURES, HIDDEN), generator=generator)) % KNOWN
    true = (said + 1 + torch.randint(0, KNOWN - 1, (PICTURES, 1), generator=generator)) % KNOWN
    early = (
        torch.where(follow < 0.7, true, some(PICTURES, HIDDEN)) if attacked else torch.where(follow < 0.15, said, other)
    )
    return torch.cat([early, said], 1)


def _attack_or_error(answer: object, generator: torch.Generator) -> str:
    own = function(answer)
    named = {kind: made_stages(generator, kind) for kind in (True, False)}
    both = torch.cat([named[True], named[False]])
    mine = call(own, both, shape=(len(both),), example=f"for {len(both)} pictures")
    require(bool(mine.max() > mine.min()), "yours gives the same number for every picture.")
    renamed = call(
        own, torch.randperm(KNOWN, generator=generator)[both], shape=(len(both),), example="for renamed classes"
    )
    require(
        close(renamed, mine, 1e-6), "the classes get other numbers, and your score changes. A class has no size: only ask which are equal."
    )  # fmt: skip
    disagreement = -(both[:, :-1] == both[:, -1:]).double().mean(1)
    own_auroc, plain = (symbols.auroc(score[:PICTURES], score[PICTURES:]) for score in (mine, disagreement))
    beside = f"AUROC: yours {own_auroc:.2f}, how many stages contradict the last {plain:.2f}, chance 0.5."
    require(
        own_auroc > 1 - ENOUGH, f"it is the other way round: attacked pictures must get the larger number. {beside}"
    )
    require(
        own_auroc >= ENOUGH,
        f"does not tell attacked pictures from errors well enough. {beside} Both contradict the last stage. *How* do they?",
    )
    return f"it sees what an attack leaves behind. {beside} Now ask it about the attacks of this chapter."


EXERCISES = (
    Exercise(
        key="map_by_hand",
        chapter=CHAPTER,
        title="A map by hand",
        difficulty="warm-up",
        minutes=5,
        task="""
            Symbol 0 was seen 6 times with class A and twice with class B. Symbol 1 was never seen with A, and 4 times with B. A
            picture has symbol 0 in three cells and symbol 1 in one. Its score for a class is the mean over its cells of
            $P(c \\mid s)$. Compute the scores of A and of B, to two decimals.
            """,
        name="mine",
        stub="mine = [..., ...]  # A, B",
        hints=("First the rows of the map. Symbol 0 was seen 8 times in all. Which share of these with A?",),
        solution="mine = [0.56, 0.44]",
        explanation=r"""
            The rows are $(6/8, 2/8)$ and $(0, 1)$. For A, $(3 \cdot 0.75 + 0) / 4 \approx 0.56$; for B,
            $(3 \cdot 0.25 + 1) / 4 \approx 0.44$. They name A, and not by much: one cell in four knows better.
            """,
        mistakes=(
            Mistake("classes exchanged", "mine = [0.44, 0.56]", "A comes first"),
            Mistake("by class", "mine = [0.75, 0.42]", "what does each row add up to"),
            Mistake("of all cells", "mine = [0.375, 0.21]", "Divide each row by its own sum"),
            Mistake("each symbol once", "mine = [0.375, 0.625]", "each symbol counts once in yours"),
            Mistake("the sum", "mine = [2.25, 1.75]", "the sum over the cells"),
            Mistake("the product", "mine = [0, 0.015]", "the product over the cells"),
            Mistake("votes", "mine = [0.75, 0.25]", "each cell votes for one class"),
            Mistake("counts first", "mine = [0.643, 0.357]", "you add up counts first"),
            Mistake("a slip", "mine = [0.5, 0.5]", "not every cell says what its row says"),
        ),
        test=_by_hand,
    ),
    Exercise(
        key="pool_cells",
        chapter=CHAPTER,
        title="Nine vectors from a response",
        difficulty="easy",
        minutes=15,
        task="""
            Write `pool_cells(response)`. `response` is what a layer says about a region, already cut out: channels × rows ×
            columns, rows and columns multiples of 3. Cut it into 3 × 3 cells and take the largest number of each channel in
            each cell. Return a row per cell, row by row, and a column per channel.
            """,
        name="pool_cells",
        stub='''
            def pool_cells(response):
                """The nine vectors of a region: float (C, 3a, 3b) to float (9, C)."""
                ...
            ''',
        hints=(
            "`torch.nn.functional.adaptive_max_pool2d` cuts into cells by itself. Or use `view` with five dimensions.",
            "Then there are channels first and cells after. `reshape(9, -1)` would mix them up.",
        ),
        solution='''
            def pool_cells(response):
                """The nine vectors of a region: float (C, 3a, 3b) to float (9, C)."""
                return torch.nn.functional.adaptive_max_pool2d(response, 3).flatten(1).T
            ''',
        explanation="""
            What is lost is the place within a cell: any shuffling of a cell's pixels gives the same vector. And all but the
            largest number of each channel. Nine cells keep a rough layout of the object.
            """,
        mistakes=(
            Mistake(
                "the mean",
                """
                def pool_cells(response):
                    return torch.nn.functional.adaptive_avg_pool2d(response, 3).flatten(1).T
                """,
                "this is the mean of each cell",
            ),
            Mistake(
                "columns first",
                """
                def pool_cells(response):
                    return torch.nn.functional.adaptive_max_pool2d(response, 3).mT.flatten(1).T
                """,
                "They must run along the rows",
            ),
            Mistake(
                "reshaped",
                """
                def pool_cells(response):
                    return torch.nn.functional.adaptive_max_pool2d(response, 3).reshape(9, -1)
                """,
                "reshaping does not exchange dimensions",
            ),
            Mistake(
                "every so many pixels",
                """
                def pool_cells(response):
                    down, right = response.shape[1] // 3, response.shape[2] // 3
                    return response[:, ::down, ::right].flatten(1).T
                """,
                "you take the first pixel of each cell",
            ),
            Mistake(
                "not below 0",
                """
                def pool_cells(response):
                    return torch.nn.functional.adaptive_max_pool2d(response.clamp(min=0), 3).flatten(1).T
                """,
                "you begin at 0",
            ),
            Mistake(
                "channels first",
                """
                def pool_cells(response):
                    return torch.nn.functional.adaptive_max_pool2d(response, 3).flatten(1)
                """,
                "is wanted",
            ),
        ),
        test=_pool_cells,
    ),
    Exercise(
        key="surrogate",
        chapter=CHAPTER,
        title="A cloud without clusters",
        difficulty="medium",
        minutes=25,
        task="""
            Are there clusters at all? One needs something to compare with: a cloud that has none and is otherwise alike. Write
            `surrogate(vectors)`: as many new points as there are vectors, drawn from the Gaussian with the same mean and the
            same covariance.

            Then look: `xmeans.fit(surrogate(x).float(), 0).centers` for some vectors `x` of yours. How many clusters are found
            where there are none?
            """,
        name="surrogate",
        stub='''
            def surrogate(vectors):
                """Points of a Gaussian like the vectors: float (N, D) to float (N, D)."""
                ...
            ''',
        hints=(
            "Begin with white noise, `torch.randn_like(vectors)`, whose covariance is the identity.",
            "If $C = L L^T$, then white noise times $L^T$ has the covariance $C$. `torch.linalg.cholesky` finds such an $L$.",
        ),
        solution='''
            def surrogate(vectors):
                """Points of a Gaussian like the vectors: float (N, D) to float (N, D)."""
                root = torch.linalg.cholesky(torch.cov(vectors.T))
                return vectors.mean(0) + torch.randn_like(vectors) @ root.T
            ''',
        explanation="""
            X-means finds clusters in such clouds too, above all after UMAP, which tears a cloud where it is a little thinner.
            So a number of clusters proves nothing. What counts is how much better the real vectors come apart.
            """,
        mistakes=(
            Mistake(
                "columns shuffled apart",
                """
                def surrogate(vectors):
                    return torch.stack([column[torch.randperm(len(column))] for column in vectors.T], 1)
                """,
                "the columns no longer go together",
            ),
            Mistake(
                "columns apart",
                """
                def surrogate(vectors):
                    return vectors.mean(0) + torch.randn_like(vectors) * vectors.std(0)
                """,
                "the columns no longer go together",
            ),
            Mistake(
                "rows in another order",
                """
                def surrogate(vectors):
                    return vectors[torch.randperm(len(vectors))]
                """,
                "these are the vectors themselves",
            ),
            Mistake(
                "rows drawn again",
                """
                def surrogate(vectors):
                    return vectors[torch.randint(len(vectors), (len(vectors),))]
                """,
                "you draw the vectors again",
            ),
            Mistake(
                "times the covariance",
                """
                def surrogate(vectors):
                    return vectors.mean(0) + torch.randn_like(vectors) @ torch.cov(vectors.T)
                """,
                "you multiply by the covariance",
            ),
            Mistake(
                "white",
                """
                def surrogate(vectors):
                    return vectors.mean(0) + torch.randn_like(vectors)
                """,
                "equally in all directions",
            ),
            Mistake(
                "about 0",
                """
                def surrogate(vectors):
                    return torch.randn_like(vectors) @ torch.linalg.cholesky(torch.cov(vectors.T)).T
                """,
                "the mean of the vectors is missing",
            ),
        ),
        test=_surrogate,
    ),
    Exercise(
        key="symbol_score",
        chapter=CHAPTER,
        title="A doubt in one number",
        difficulty="medium",
        minutes=20,
        task=r"""
            Write `symbol_score(read, said, counts)`: the expected symbol score, the mean over a picture's cells of
            $P(s_j \mid \hat y)$. `read` has a row of nine symbols per picture, `said` is the class $\hat y$ that the network says,
            and `counts` has the map as it was counted, a row per symbol and a column per class. Every class was seen.
            """,
        name="symbol_score",
        stub='''
            def symbol_score(read, said, counts):
                """The score of each picture: int (N, 9), int (N,), int (K, C) to float (N,)."""
                ...
            ''',
        hints=(
            "How likely is a symbol *for a class*? Then each column of the map must add up to 1.",
            "`table[read, said[:, None]]` picks, for each cell of each picture, the row of its symbol and the column of its class.",
        ),
        solution='''
            def symbol_score(read, said, counts):
                """The score of each picture: int (N, 9), int (N,), int (K, C) to float (N,)."""
                likely = counts / counts.sum(0)
                return likely[read, said[:, None]].mean(1)
            ''',
        explanation="""
            To name a class one asks which classes go with a symbol. To doubt one, one asks which symbols go with a class. The
            counts are the same, divided by other sums. The score also falls when the network errs, for any reason: that is
            the trap of this chapter.
            """,
        mistakes=(
            Mistake(
                "by symbol",
                """
                def symbol_score(read, said, counts):
                    return (counts / counts.sum(1, keepdim=True))[read, said[:, None]].mean(1)
                """,
                "how likely it is for the class",
            ),
            Mistake(
                "of all cells",
                """
                def symbol_score(read, said, counts):
                    return (counts / counts.sum())[read, said[:, None]].mean(1)
                """,
                "Divide by those of the predicted class",
            ),
            Mistake(
                "the class that symbols like best",
                """
                def symbol_score(read, said, counts):
                    return (counts / counts.sum(0))[read].mean(1).amax(1)
                """,
                "what the *network* says",
            ),
            Mistake(
                "all classes",
                """
                def symbol_score(read, said, counts):
                    return (counts / counts.sum(0))[read].mean((1, 2))
                """,
                "you average over all classes",
            ),
            Mistake(
                "product",
                """
                def symbol_score(read, said, counts):
                    return (counts / counts.sum(0))[read, said[:, None]].prod(1)
                """,
                "one odd cell decides",
            ),
            Mistake(
                "logarithms",
                """
                def symbol_score(read, said, counts):
                    return (counts / counts.sum(0))[read, said[:, None]].log().mean(1)
                """,
                "the mean of logarithms",
            ),
            Mistake(
                "counts",
                """
                def symbol_score(read, said, counts):
                    return counts[read, said[:, None]].double().mean(1)
                """,
                "these are counts",
            ),
        ),
        test=_symbol_score,
    ),
    Exercise(
        key="chance_level",
        chapter=CHAPTER,
        title="What chance tells",
        difficulty="hard",
        minutes=40,
        task=r"""
            Symbols seem to tell about classes even where they know nothing: with few pictures some of it is luck. Write
            `chance_level(read, labels)`: the mutual information, in bits, of a cell's symbol and its picture's class, when classes
            are exchanged between pictures at random; its mean over at least 100 exchanges. `read` has a row of nine symbols per
            picture.

            $I = \sum_{s, c} p(s, c) \log_2 \frac{p(s, c)}{p(s)\, p(c)}$, over the table of all cells. Be careful about what you
            exchange: the nine cells of a picture are much alike.
            """,
        name="chance_level",
        stub='''
            def chance_level(read, labels):
                """Mean information of exchanged classes, in bits: int (N, 9), int (N,) to a number."""
                ...
            ''',
        hints=(
            "Write a function for the information first. Call it with `labels[torch.randperm(len(labels))]`.",
            "A table of counts: `torch.bincount(read.flatten() * classes + repeated)`, with each label repeated for its nine "
            "cells. Pairs that were never seen add nothing.",
        ),
        solution='''
            def information(read, labels):
                classes, count = int(labels.max()) + 1, int(read.max()) + 1
                pairs = read * classes + labels[:, None]
                table = torch.bincount(pairs.flatten(), minlength=count * classes).view(count, classes)
                shares = table / table.sum()
                apart = shares.sum(1, keepdim=True) * shares.sum(0)
                return (shares * (shares / apart).log2()).nansum()


            def chance_level(read, labels):
                """Mean information of exchanged classes, in bits: int (N, 9), int (N,) to a number."""
                every = [information(read, labels[torch.randperm(len(labels))]) for _ in range(200)]
                return torch.stack(every).mean()
            ''',
        explanation="""
            If one exchanges the classes of single cells, the nine cells of a picture no longer agree by chance. The chance level
            comes out several times too low, and symbols without any meaning look as if they had one.
            """,
        mistakes=(
            Mistake(
                "cells exchanged",
                """
                def information(read, labels):
                    table = torch.zeros(int(read.max()) + 1, int(labels.max()) + 1)
                    table.index_put_((read, labels), torch.ones(len(read)), accumulate=True)
                    shares = table / table.sum()
                    apart = shares.sum(1, keepdim=True) * shares.sum(0)
                    return (shares * (shares / apart).log2()).nansum()


                def chance_level(read, labels):
                    cells, repeated = read.flatten(), labels.repeat_interleave(9)
                    return torch.stack([information(cells, repeated[torch.randperm(len(cells))]) for _ in range(100)]).mean()
                """,
                "exchange whole pictures",
            ),
            Mistake(
                "not exchanged",
                """
                def chance_level(read, labels):
                    table = torch.zeros(int(read.max()) + 1, int(labels.max()) + 1)
                    where = (read.flatten(), labels.repeat_interleave(9))
                    table.index_put_(where, torch.ones(read.numel()), accumulate=True)
                    shares = table / table.sum()
                    apart = shares.sum(1, keepdim=True) * shares.sum(0)
                    return (shares * (shares / apart).log2()).nansum()
                """,
                "Exchange the classes first",
            ),
            Mistake(
                "natural logarithms",
                """
                def information(read, labels):
                    table = torch.zeros(int(read.max()) + 1, int(labels.max()) + 1)
                    where = (read.flatten(), labels.repeat_interleave(9))
                    table.index_put_(where, torch.ones(read.numel()), accumulate=True)
                    shares = table / table.sum()
                    apart = shares.sum(1, keepdim=True) * shares.sum(0)
                    return (shares * (shares / apart).log()).nansum()


                def chance_level(read, labels):
                    return torch.stack([information(read, labels[torch.randperm(len(labels))]) for _ in range(200)]).mean()
                """,
                "to the base 2",
            ),
            Mistake(
                "nothing",
                """
                def chance_level(read, labels):
                    return 0.0
                """,
                "it always tells something",
            ),
            Mistake(
                "unseen pairs as NaN",
                """
                def chance_level(read, labels):
                    table = torch.zeros(99, 99)
                    where = (read.flatten(), labels.repeat_interleave(9))
                    table.index_put_(where, torch.ones(read.numel()), accumulate=True)
                    shares = table / table.sum()
                    return (shares * (shares / (shares.sum(1, keepdim=True) * shares.sum(0))).log2()).sum()
                """,
                "NaN or infinity",
            ),
        ),
        test=_chance_level,
    ),
    Exercise(
        key="attack_or_error",
        chapter=CHAPTER,
        title="Attacked, or just wrong?",
        difficulty="open",
        minutes=90,
        task="""
            The symbol score is low for attacked pictures. But it is low for the network's own errors as well. Find a score that
            tells the two apart. Write `attack_or_error(named)`: `named` has a row per picture and a column per stage, the class
            that the symbols of the stage name, the last stage last. The network errs on all of them. Attacked pictures must
            get the larger number.

            The check makes fresh pictures of a simple world: 16 classes, 8 stages. The early stages of an error name this and that.
            The early stages of an attacked picture mostly name its true class, which you do not know. Your number must put an
            attacked picture above an error in 90 of 100 pairs (AUROC 0.9).

            Then it is research. Ask your number in this chapter: `survey` and `attacks` hold the symbols of every stage. Does it
            still work, and also for the attack that raises the symbol score?
            """,
        name="attack_or_error",
        stub='''
            def attack_or_error(named):
                """A number that is larger for attacked pictures: int (N, stages) to float (N,)."""
                ...
            ''',
        hints=(
            "Both kinds contradict the last stage. In which of them do the early stages contradict each other?",
            "Compare every early stage with every other, and with the last.",
        ),
        solution='''
            def attack_or_error(named):
                """A number that is larger for attacked pictures: int (N, stages) to float (N,)."""
                early, last = named[:, :-1], named[:, -1:]
                alike = (early[:, :, None] == early[:, None, :]).double().mean((1, 2))
                return alike - (early == last).double().mean(1)
            ''',
        explanation="""
            Early stages that agree with each other and not with the end were turned away late. In the made world this works
            because it was made so. In a network an error may be turned away late as well, and an attacker who knows the score can
            attack it too.
            """,
        mistakes=(
            Mistake(
                "contradicting the last stage",
                """
                def attack_or_error(named):
                    return (named[:, :-1] != named[:, -1:]).double().mean(1)
                """,
                "does not tell attacked pictures from errors well enough",
            ),
            Mistake(
                "the same for all",
                """
                def attack_or_error(named):
                    return torch.ones(len(named))
                """,
                "the same number for every picture",
            ),
            Mistake(
                "classes as numbers",
                """
                def attack_or_error(named):
                    return -named.double().std(1)
                """,
                "A class has no size",
            ),
            Mistake(
                "the other way round",
                """
                def attack_or_error(named):
                    early = named[:, :-1]
                    return -(early[:, :, None] == early[:, None, :]).double().mean((1, 2))
                """,
                "it is the other way round",
            ),
        ),
        test=_attack_or_error,
    ),
)
