"""The measured quantity of each claim of chapter 02, from outputs, interactions and networks to what `Results.take` wants.

Arrays are (seeds, samples, 2^n) for each kind of network: "trained", "untrained", "memorising" and other controls. Where a
run can not measure a claim the function gives the reason, as text. The claims' tests stand in claims/interactions.yml.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from scipy.stats import mannwhitneyu
from torch import Tensor

from innercodes import interactions, stats
from innercodes.and_or import AndOr
from innercodes.coalitions import coalitions, orders, players
from innercodes.data import LINES

REGISTERED = 0.05
"""The share of the strongest interaction from which one is salient, as claims/ fixed it."""
NO_TWIN = "This network came with its weights, and no twin on shuffled labels could be trained here."


def array(values: Tensor) -> np.ndarray:
    """A tensor as a float64 array."""
    return values.detach().cpu().double().numpy()


def salient_share(fit: AndOr, threshold: float = REGISTERED) -> Tensor:
    """Share of the AND and OR terms together that are salient, (..., 2^n) to (...).

    There are 2^n - 1 AND terms and 2^n - 1 - n OR terms: those of order 1 are AND terms as well, and stand there.
    """
    n = players(fit.and_)
    terms = fit.terms.clone()
    terms[..., 2**n] = 0
    return interactions.salient(terms, threshold).sum(-1) / (2 * (2**n - 1) - n)


def sparsity(
    shares: Mapping[str, np.ndarray], before: Mapping[str, float], draws: int, seed: int
) -> dict[str, Any] | str:
    """INT-2 and INT-13: trained share over the smaller one of both twins, from shares (seeds, samples) after the fit.

    `before` are the mean shares before the fit, which stand beside it.
    """
    if "memorising" not in shares:
        return NO_TWIN
    kinds = ("trained", "untrained", "memorising")
    sizes = np.cumsum([0, *(len(shares[kind]) for kind in kinds)])
    together = np.concatenate([shares[kind] for kind in kinds]).T[None]  # (1, samples, networks)

    def ratio(rows: np.ndarray, axis: int) -> np.ndarray:
        mean = rows.mean(axis)
        own, *twins = (mean[..., a:b].mean(-1) for a, b in itertools.pairwise(sizes))
        return own / np.minimum(*twins)

    estimate = stats.bootstrap(together, statistic=ratio, draws=draws, seed=seed)
    means = {kind: float(np.mean(share)) for kind, share in shares.items()}
    return {
        "value": estimate.value,
        "ci": estimate.interval(),
        "also": {"share_salient": means["trained"]},
        "baseline": {f"share, {kind}": mean for kind, mean in means.items()}
        | {"share before the fit, trained": before["trained"]},
    }


def high_orders(fits: Mapping[str, AndOr], draws: int, seed: int) -> dict[str, Any] | str:
    """INT-4: mean strength of the terms of order 5 and above over that of order 1, after the fit, both over all samples.

    A mean of each sample's ratio would be set by samples whose order 1 the fit drives to 0; its median stands in the note.
    """
    pairs = {}
    for kind, fit in fits.items():
        order = orders(players(fit.and_), fit.and_.device)
        if int(order.max()) < 5:
            return "Fewer than five players: there is no order 5."
        high = torch.cat([fit.and_[..., order >= 5], fit.or_[..., order >= 5]], -1).abs().mean(-1)
        pairs[kind] = array(torch.stack([high, fit.and_[..., order == 1].abs().mean(-1)], -1))
    median = float(np.median(pairs["trained"][..., 0] / pairs["trained"][..., 1]))
    note = f"median of the samples' own ratios {median:.2g}"
    return stats.compare(pairs, _ratio_of_means, draws, seed) | {"note": note}


def _ratio_of_means(rows: np.ndarray, axis: int) -> np.ndarray:
    return rows[..., 0].mean(axis) / rows[..., 1].mean(axis)


def elsewhere(preset: str, model: str) -> dict[str, str]:
    """Claims that a run can not judge at the scale `paper`, with the reason: its tests name networks, or many at once."""
    if preset != "paper":
        return {}
    reasons = {
        claim: "At the paper's scale this claim is about all of its networks together; one run is one of them."
        for claim in ("INT-2", "INT-3", "INT-4", "INT-12", "INT-13", "INT-14")
    }
    if not model.endswith("opt-1.3b"):
        opt = ("INT-5", "INT-7", "INT-8", "INT-9", "INT-24")
        reasons |= dict.fromkeys(opt, "At the paper's scale the test of this claim names OPT-1.3B.")
    return reasons | {"INT-27": "At the paper's scale the test of this claim names an ImageNet network."}


def counts_of_opt(
    counts: Mapping[str, np.ndarray],
    rises: Mapping[str, np.ndarray],
    gains: Mapping[str, np.ndarray],
    draws: int,
    seed: int,
) -> dict[str, Any]:
    """INT-6: mean salient count over monotone prompts with v(N) - v(empty) >= 1, as a share of the paper's 29.06."""
    rows = {
        kind: np.where((rises[kind] == 1) & (gains[kind] >= 1), count / 29.06, np.nan) for kind, count in counts.items()
    }
    return stats.compare(rows, np.nanmean, draws, seed)


def monotone_share(outputs: Mapping[str, Tensor], draws: int, seed: int) -> dict[str, Any]:
    """INT-5: share of samples whose mean output never falls."""
    return stats.compare({k: array(interactions.monotone(v)) for k, v in outputs.items()}, np.mean, draws, seed)


def _advantage(rows: np.ndarray, axis: int) -> np.ndarray:
    """Mann-Whitney U / (n1 n2) of the counts rows[..., 0], non-monotone above monotone (rows[..., 1] = 1)."""
    count, rises = rows[..., 0], rows[..., 1] > 0
    axis = axis % (rows.ndim - 1)
    count, rises = np.moveaxis(count, axis, -1), np.moveaxis(rises, axis, -1)
    more = np.sign(count[..., :, None] - count[..., None, :]) / 2 + 0.5
    pairs = ~rises[..., :, None] & rises[..., None, :]
    return (more * pairs).sum((-2, -1)) / pairs.sum((-2, -1))


def more_when_falling(
    counts: Mapping[str, np.ndarray],
    rises: Mapping[str, np.ndarray],
    draws: int,
    seed: int,
    labels: np.ndarray | None = None,
) -> dict[str, Any] | str:
    """INT-7: do samples whose mean output falls somewhere have more salient terms? Counts and flags (seeds, samples).

    With the classes of the samples, int (samples,), the same among samples of one class stands beside it, where there are any to
    compare: where one class falls and the other does not, the class alone may make the difference.
    """
    groups = {kind: (int((flag == 0).sum(1).min()), int((flag == 1).sum(1).min())) for kind, flag in rises.items()}
    if min(*groups["trained"], *groups["untrained"]) < 20:
        return (
            "Fewer than 20 samples in a group (falling, never falling): "
            + ", ".join(f"{kind} {low} and {high}" for kind, (low, high) in groups.items())
            + "."
        )
    rows = {kind: np.stack([counts[kind], rises[kind]], -1) for kind in ("trained", "untrained")}
    p = [
        mannwhitneyu(count[flag == 0], count[flag == 1], alternative="greater").pvalue
        for count, flag in zip(counts["trained"], rises["trained"], strict=True)
    ]
    found = stats.compare(rows, _advantage, draws, seed)
    mixed = np.random.default_rng(seed).permuted(rises["trained"], axis=1)
    chance = float(_advantage(np.stack([counts["trained"], mixed], -1), 1).mean())
    baseline = found["baseline"] | {"groups at random": chance}
    if labels is not None and len(np.unique(labels)) > 1:
        same = _advantage_within(counts["trained"], rises["trained"], labels)
        baseline |= {} if np.isnan(same) else {"within a class": same}
    return found | {
        "also": {"mann_whitney_p": float(max(p)), "count_ratio": _falling_mean(counts, rises) / 42.67},
        "baseline": baseline,
    }


def _advantage_within(counts: np.ndarray, rises: np.ndarray, labels: np.ndarray) -> float:
    """`_advantage` over the pairs of one class alone, mean over the seeds that have such pairs; NaN without any."""
    found = []
    for count, flag in zip(counts, rises > 0, strict=True):
        more = np.sign(count[:, None] - count) / 2 + 0.5
        pairs = ~flag[:, None] & flag & (labels[:, None] == labels)
        if pairs.any():
            found.append(more[pairs].mean())
    return float(np.mean(found)) if found else float("nan")


def _falling_mean(counts: Mapping[str, np.ndarray], rises: Mapping[str, np.ndarray]) -> float:
    return float(counts["trained"][rises["trained"] == 0].mean())


def exponents(outputs: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """The exponent p of every monotone sample, NaN elsewhere: (seeds, samples) for each kind."""
    return {
        kind: array(torch.where(interactions.monotone(v), interactions.exponent(v), torch.nan))
        for kind, v in outputs.items()
    }


def small_exponent(p: Mapping[str, np.ndarray], draws: int, seed: int) -> dict[str, Any] | str:
    """INT-8: mean exponent over the monotone samples, beside both twins."""
    if "memorising" not in p:
        return NO_TWIN
    enough = {kind: int(np.isfinite(rows).sum()) for kind, rows in p.items()}
    different = {kind: _values(p[kind]) for kind in ("trained", "untrained", "memorising")}
    if min(different.values()) < 20:
        return f"Fewer than 20 different monotone samples with an exponent: {_counted(different)}."
    low, high = stats.bootstrap(p["trained"], p["memorising"], np.nanmean, draws, seed).interval()
    size = orders(10).double()
    also = {
        "gap_to_shuffled": max(low, -high, 0.0),
        "toy_linear": abs(float(interactions.exponent(size)) - 1),
        "toy_quadratic": abs(float(interactions.exponent(size**2)) - 2),
    }
    kept = {kind: rows for kind, rows in p.items() if enough[kind]}
    missing = (
        f"without p (falling, or order 1 not positive): {_counted({k: rows.size - enough[k] for k, rows in p.items()})}"
    )
    return stats.compare(kept, np.nanmean, draws, seed) | {"also": also, "note": missing}


def _values(rows: np.ndarray) -> int:
    """How many different samples have a value in at least one network."""
    return int(np.isfinite(rows).any(0).sum())


def _counted(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{kind} {number}" for kind, number in numbers.items())


def bound_says_something(
    bounds: Mapping[str, interactions.Bound], rises: Mapping[str, np.ndarray], n: int, draws: int, seed: int
) -> dict[str, Any] | str:
    """INT-9: share of the kept samples (monotone, bound defined) whose bound is below 2^n - 1.

    A kind without flags in `rises`, such as noise, which is hardly ever monotone, counts wherever the bound is defined.
    """
    informative, enough, different = {}, {}, {}
    for kind, bound in bounds.items():
        value = array(bound.bound)
        kept = np.isfinite(value) & (rises[kind] == 1 if kind in rises else True)
        informative[kind] = np.where(kept, value < 2**n - 1, np.nan)
        enough[kind], different[kind] = int(kept.sum()), _values(informative[kind])
    if min(different["trained"], different["untrained"]) < 20:
        return f"Fewer than 20 different monotone samples with a bound: {_counted(different)}."
    kept = np.isfinite(informative["trained"])
    own = bounds["trained"]
    holds = array(own.real)[kept] <= array(own.bound)[kept] + 1e-9
    also = {
        "bound_holds": float(holds.mean()),
        "looseness": float(np.mean(array(own.bound)[kept])) / float(np.mean(array(own.real)[kept])),
    }
    found = stats.compare({kind: rows for kind, rows in informative.items() if enough[kind]}, np.nanmean, draws, seed)
    # Where the two bounds are equal, the theorem adds nothing to Markov's inequality.
    ratio = {"bound / Markov, median": float(np.median((array(own.bound) / array(own.markov))[kept]))}
    return found | {
        "also": also,
        "baseline": found["baseline"] | ratio,
        "note": f"samples kept: {_counted(enough)}; the bound is {also['looseness']:.1f} times the real count on average",
    }


def parity_exponent(
    outputs: Mapping[str, Tensor], other: Mapping[str, float], draws: int, seed: int
) -> dict[str, Any] | str:
    """INT-11: median exponent of the parity network over its inputs with a positive order-1 mean; `other` stands beside it."""
    p = {kind: array(interactions.exponent(v)) for kind, v in outputs.items()}
    if not all(np.isfinite(rows).any(1).all() for rows in p.values()):
        return "A network has no input with a positive mean output of order 1."
    found = stats.compare(p, stats.nanmedian, draws, seed)
    return found | {"baseline": found["baseline"] | other}


def matching_gap(outputs: Tensor, relative: bool) -> float:
    """INT-1: largest difference between outputs and what their interactions rebuild, as a share of max |v| if `relative`."""
    error = (interactions.reconstruct(interactions.harsanyi(outputs)) - outputs).abs().amax(-1)
    return float((error / outputs.abs().amax(-1) if relative else error).max())


def explained_after_fit(outputs: Mapping[str, Tensor], fits: Mapping[str, AndOr], share: float) -> dict[str, float]:
    """Median R^2 over all masks of the strongest `share` of all AND and OR terms after the fit, mean over seeds."""
    found = {}
    for kind, fit in fits.items():
        v = outputs[kind][:, : fit.and_.shape[1]]
        keep = interactions.strongest(fit.terms, share)
        kept_and, kept_or = torch.where(keep, fit.terms, 0).chunk(2, -1)
        kept_and[..., 0] = v[..., 0]
        # An OR term acts unless all of its players are masked.
        ors = kept_or.sum(-1, keepdim=True) - interactions.reconstruct(kept_or).flip(-1)
        residual = (v - interactions.reconstruct(kept_and) - ors).square().sum(-1)
        total = (v - v.mean(-1, keepdim=True)).square().sum(-1)
        # A sample whose outputs are all alike has no variance to explain.
        found[kind] = float(stats.nanmedian(array(1 - residual / total), -1).mean())
    return found


def premise_fails(untrained: Tensor, noise: Tensor) -> dict[str, float]:
    """Share of the samples with a bound whose constructed delta exceeds its limit, where INT-23's premise does not hold."""
    shares = {}
    for kind, outputs in (("untrained", untrained), ("noise", noise)):
        bound = interactions.salience_bound(outputs)
        known = bound.delta.isfinite()
        shares[f"broken, {kind}"] = (
            float((bound.delta > bound.delta_limit + 1e-9)[known].double().mean()) if known.any() else 0.0
        )
    return shares


def largest_order_share(dividends: Mapping[str, Tensor]) -> dict[str, float]:
    """|I(N)| / max |I|, mean over samples and seeds: 0 would be the premise of the bound."""
    return {kind: float((i[..., -1].abs() / i[..., 1:].abs().amax(-1)).mean()) for kind, i in dividends.items()}


def overview(fits: Mapping[str, Mapping[str, AndOr]]) -> dict[str, dict[str, float]]:
    """Share of salient terms after the fit for each game and kind, and the trained share over the smaller twin's."""
    rows = {}
    for name, kinds in fits.items():
        means = {kind: float(salient_share(fit).mean()) for kind, fit in kinds.items() if kind != "shuffled"}
        twins = [mean for kind, mean in means.items() if kind != "trained"]
        rows[name] = means | {"trained / smaller twin": means["trained"] / min(twins)}
    return rows


def counts_by_size(dividends: Mapping[str, Sequence[Tensor]]) -> dict[str, np.ndarray]:
    """Number of salient interactions for each size of a game: (seeds, samples, sizes) from one tensor per size."""
    return {
        kind: np.stack([array(interactions.salient(i, REGISTERED).sum(-1)) for i in by_size], -1)
        for kind, by_size in dividends.items()
    }


def typical_exponent(outputs: Tensor, name: str) -> dict[str, float]:
    """The statistic of INT-11 on another game, by its name: empty where no sample has an exponent."""
    p = array(interactions.exponent(outputs))
    return {name: float(np.nanmean(np.nanmedian(p, axis=1)))} if np.isfinite(p).any(1).all() else {}


TRIPLES = torch.tensor([sum(1 << s for s in group) for group in itertools.combinations(range(9), 3)])
ARE_LINES = torch.tensor([group in LINES for group in itertools.combinations(range(9), 3)])


def line_auroc(boards: Tensor, dividends: Mapping[str, Tensor], draws: int, seed: int) -> dict[str, Any]:
    """INT-14 on tic-tac-toe: AUROC of |I| for triples of x that form a line against its other triples, boards (samples, 9)."""
    filled = torch.stack([(boards[:, list(group)] == 1).all(-1) for group in itertools.combinations(range(9), 3)], -1)
    line, other = (filled & ARE_LINES.to(boards.device)), (filled & ~ARE_LINES.to(boards.device))
    pairs = (line[:, :, None] & other[:, None, :]).double()
    found = {}
    for kind, dividend in dividends.items():
        strength = dividend[..., TRIPLES.to(dividend.device)].abs()
        rows = []
        for network in strength:
            above = torch.sign(network[:, :, None] - network[:, None, :]) / 2 + 0.5
            rows.append((above * pairs).sum((1, 2)) / pairs.sum((1, 2)))
        found[kind] = array(torch.stack(rows))
    judged = stats.compare(found, np.nanmean, draws, seed)
    return judged | {"baseline": judged["baseline"] | {"chance": 0.5}}


def transfer(dividends: Mapping[str, Tensor], draws: int, seed: int) -> dict[str, Any] | str:
    """INT-14 elsewhere: are the terms that are often salient in half of the samples those of the other half?

    The samples are of one class and their players correspond. The first half picks 10 % of the terms, those most often
    salient at 0.1; counted is the share of each other sample's salient terms that are among them.
    """
    if dividends["trained"].shape[1] < 20:
        return "Fewer than 20 samples: too few to learn from one half and to test on the other."
    ratios, stability = {}, {}
    for kind, effects in dividends.items():
        often = interactions.salient(effects, 0.1)[..., 1:].double()
        half = often.shape[1] // 2
        k = round(0.1 * often.shape[-1])
        picked = often[:, :half].sum(1).topk(k, -1).indices
        among = torch.zeros_like(often[:, 0]).scatter_(-1, picked, 1.0)[:, None]
        later = often[:, half:]
        ratios[kind] = array((later * among).sum(-1) / later.sum(-1))
        clear = interactions.salient(effects, REGISTERED)[..., 1:]
        up = (clear & (effects[..., 1:] > 0)).sum(1).gather(-1, picked).double()
        down = (clear & (effects[..., 1:] < 0)).sum(1).gather(-1, picked).double()
        stability[kind] = float((torch.maximum(up, down) / (up + down)).nanmean())
    found = stats.compare(ratios, np.nanmean, draws, seed)
    chance = {"random terms": k / often.shape[-1]}
    return found | {"also": {"sign_stability": stability["trained"]}, "baseline": found["baseline"] | chance}


def planted_recovery(
    games: int, solver: str, iterations: int, noise: float, seed: int, draws: int
) -> tuple[dict[str, Any], dict[str, dict[str, float]]]:
    """INT-19 on planted games of 8, 9 and 10 players, and a table of the fits that stand beside it.

    Six AND and six OR terms and noise in the allowed band; the fit of the chapter, the authors' descent, no fit, and the
    fit on pure noise. Gives the arguments of `judge` and, for each row, mean F1, correlation of the noise and the L1 norm
    as a share of that before the fit.
    """
    rows: dict[str, list[Tensor]] = {"no fit": [], "descent": [], "this chapter's fit": [], "pure noise": []}
    for n in (8, 9, 10):
        made = [planted(n, 6, noise, seed + s) for s in range(n - 8, games, 3)]
        outputs, terms, band = (torch.stack(parts) for parts in zip(*made, strict=True))
        plain = interactions.harsanyi(outputs)
        none = torch.full((len(made),), torch.nan, dtype=torch.float64)
        rows["no fit"].append(
            torch.stack([support_f1(torch.cat([plain, 0 * plain], -1), terms), none, torch.ones_like(none)])
        )
        for name, fit in (
            ("descent", interactions.fit_and_or(outputs, noise=noise)),
            ("this chapter's fit", interactions.fit_and_or(outputs, iterations, noise=noise, solver=solver)),
        ):
            rows[name].append(torch.stack([*recovery(fit, terms, band), fit.after / fit.before]))
        random = torch.randn(outputs.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed + n))
        fit = interactions.fit_and_or(random, iterations, noise=noise, solver=solver)
        rows["pure noise"].append(torch.stack([none, none, fit.after / fit.before]))
    whole = {name: torch.cat(parts, -1) for name, parts in rows.items()}
    table = {
        name: {
            column: value
            for column, value in zip(
                ("F1", "correlation of the noise", "L1, after / before"), part.mean(-1).tolist(), strict=True
            )
            if value == value  # what a row has none of is left out
        }
        for name, part in whole.items()
    }
    f1 = stats.bootstrap(array(whole["this chapter's fit"][0]), draws=draws, seed=seed)
    judged = {
        "value": f1.value,
        "ci": f1.interval(),
        "also": {"noise_correlation": table["this chapter's fit"]["correlation of the noise"]},
        "baseline": {
            "F1, no fit": table["no fit"]["F1"],
            "F1, the authors' descent": table["descent"]["F1"],
            "L1 left of pure noise": table["pure noise"]["L1, after / before"],
        },
    }
    return judged, table


def planted(n: int, terms: int, noise: float, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """A game of `terms` AND and `terms` OR interactions plus noise, and what was planted.

    Effects have sizes from 0.5 to 1.5 and any sign; the noise is uniform within `noise` * |v(N) - v(empty)|, 0 at the
    empty set. Gives outputs (2^n,), terms (2 * 2^n,) as `AndOr.terms` orders them, and the noise (2^n,).
    """
    generator = torch.Generator().manual_seed(seed)
    effects = torch.zeros(2, 2**n, dtype=torch.float64)
    for row in effects:
        chosen = torch.randperm(2**n - 1, generator=generator)[:terms] + 1
        sizes = 0.5 + torch.rand(terms, dtype=torch.float64, generator=generator)
        row[chosen] = sizes * (2.0 * torch.randint(2, (terms,), generator=generator) - 1)
    single = orders(n) == 1
    effects[0, single] += effects[1, single]
    effects[1, single] = 0
    sums = interactions.reconstruct(effects)
    # An OR acts unless all of it is masked.
    clean = sums[0] + effects[1].sum() - sums[1].flip(-1)
    band = noise * clean[-1].abs() * (2 * torch.rand(2**n, dtype=torch.float64, generator=generator) - 1)
    band[0] = 0
    return clean + band, effects.flatten(), band


def recovery(fit: AndOr, terms: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """F1 of the salient terms against the planted ones, and correlation of the noise with the planted one: (B,) each."""
    return support_f1(fit.terms, terms), _correlation(fit.noise, noise)


def support_f1(terms: Tensor, planted_terms: Tensor) -> Tensor:
    """F1 of the salient terms against those that are not 0 in `planted_terms`, (B, ...) to (B,)."""
    found, true = interactions.salient(terms, REGISTERED), planted_terms != 0
    return 2 * (found & true).sum(-1) / (found.sum(-1) + true.sum(-1))


def _correlation(a: Tensor, b: Tensor) -> Tensor:
    a, b = a - a.mean(-1, keepdim=True), b - b.mean(-1, keepdim=True)
    return (a * b).sum(-1) / (a.norm(dim=-1) * b.norm(dim=-1)).clamp(min=1e-300)


def bound_identity(generators: list[torch.Generator], games: int = 300) -> dict[str, float]:
    """INT-23: excess of delta and of the real count over their bounds, on random monotone polynomials with M < n."""
    worst, count, kept, tried = -np.inf, -np.inf, 0, 0
    for generator, n in itertools.product(generators, range(4, 11)):
        size = orders(n)
        for m in range(2, n):
            effects = torch.rand(games // 7, 2**n, dtype=torch.float64, generator=generator) - 0.2
            sparse = torch.rand(effects.shape, generator=generator) < 0.3
            outputs = interactions.reconstruct(effects * (sparse & (size <= m) & (size > 0)))
            bound = interactions.salience_bound(outputs, m)
            good = interactions.monotone(outputs) & bound.bound.isfinite()
            worst = max(worst, _largest((bound.delta - bound.delta_limit)[good]))
            count = max(count, _largest((bound.real_by_order - bound.bound_by_order)[good]))
            kept, tried = kept + int(good.sum()), tried + len(outputs)
    return {"delta": worst, "count": count, "kept": kept, "tried": tried}


def _largest(values: Tensor) -> float:
    return float(values.max()) if values.numel() else -np.inf


def merged(outputs: Tensor, groups: Tensor) -> Tensor:
    """The game of fewer players that act together, (..., 2^fine) to (..., 2^n); groups int64 (fine,) gives each player's group."""
    n = int(groups.max()) + 1
    members = coalitions(n)[:, groups.cpu()]  # which fine players are shown
    index = (members.long() * 2 ** torch.arange(len(groups))).sum(-1)
    return outputs[..., index.to(outputs.device)]


def scaling(
    counts: Mapping[str, np.ndarray], sizes: list[int], p: Mapping[str, np.ndarray], draws: int, seed: int
) -> dict[str, Any] | str:
    """INT-24: slope of log count on log n minus the exponent; counts (seeds, samples, len(sizes)), p (seeds, samples).

    Samples without an exponent have no slope to compare. `bic_gain` compares an exponential law of the mean log count
    over all samples with a power law, both with two parameters.
    """
    x, logs = np.log(sizes), {kind: np.log(np.maximum(count, 1)) for kind, count in counts.items()}
    centred = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    excess = {kind: (log * centred).sum(-1) - p[kind] for kind, log in logs.items()}
    enough = {kind: _values(rows) for kind, rows in excess.items()}
    if min(enough["trained"], enough["untrained"]) < 5:
        return f"Fewer than five different samples with an exponent: {_counted(enough)}."
    curve = logs["trained"].mean((0, 1))
    residuals = {name: _residual(at, curve) for name, at in (("power", x), ("exponential", np.array(sizes, float)))}
    gain = len(sizes) * np.log(residuals["exponential"] / residuals["power"])
    kinds = {kind: rows for kind, rows in excess.items() if enough[kind]}
    return stats.compare(kinds, np.nanmean, draws, seed) | {
        "also": {"bic_gain": float(gain)},
        "note": f"different samples with p: {_counted(enough)}",
    }


def _residual(x: np.ndarray, y: np.ndarray) -> float:
    fit = np.polyfit(x, y, 1)
    return float(((np.polyval(fit, x) - y) ** 2).sum())


def attack_shift(
    clean: Mapping[str, Tensor], attacked: Mapping[str, Tensor], draws: int, seed: int
) -> dict[str, Any] | str:
    """INT-27: share of the strength in orders above n / 2, attacked minus clean; dividends (seeds, samples, 2^n).

    `attacked` also has "noise": the trained network on noise of equal norm.
    """
    share = {kind: interactions.high_order_share(effects) for kind, effects in clean.items()}
    shift = {
        kind: array(interactions.high_order_share(effects) - share["trained" if kind == "noise" else kind])
        for kind, effects in attacked.items()
    }
    if "memorising" not in share:
        return NO_TWIN
    also = {"memorised_minus_trained": float(share["memorising"].mean() - share["trained"].mean())}
    return stats.compare(shift, np.mean, draws, seed) | {"also": also}


OUT_OF_REACH = {
    "INT-10": "OPT, LLaMA and Aquila are not at hand.",
    "INT-26": "Needs the PointNet++ weights of the paper.",
}
"""Claims on networks that no run of this book has yet, with the reason; see presets/paper for what is prepared."""


def alike_in_size(shares: Mapping[int, Mapping[str, np.ndarray]], draws: int, seed: int) -> dict[str, Any]:
    """INT-12: largest |log10| ratio of mean shares between part sizes; shares (seeds, samples) by size and kind."""
    sizes = sorted(shares)
    together = np.stack([shares[size]["trained"].mean(0) for size in sizes], -1)[None]

    def spread(rows: np.ndarray, axis: int) -> np.ndarray:
        logs = np.log10(rows.mean(axis))
        return logs.max(-1) - logs.min(-1)

    estimate = stats.bootstrap(together, statistic=spread, draws=draws, seed=seed)
    means = {size: {kind: float(rows.mean()) for kind, rows in shares[size].items()} for size in sizes}
    return {
        "value": estimate.value,
        "ci": estimate.interval(),
        "also": {"share_against_twin": max(mean["trained"] / mean["untrained"] for mean in means.values())},
        "baseline": {f"{kind}, {size} px": mean for size in sizes for kind, mean in means[size].items()},
    }


def transfer_or_reason(dataset: str, dividends: Mapping[str, Tensor], draws: int, seed: int) -> dict[str, Any] | str:
    """INT-14 where players correspond between samples of one class, as the parts of a digit do."""
    if dataset not in ("mnist3", "digits", "motorbike"):
        return "The players of this run's samples do not correspond, or its samples are of several classes."
    return transfer(dividends, draws, seed)
