"""The chapter's side studies: rounding, parity, the panel of games, digits cut finer and finer, attacks, part sizes."""

import copy
import dataclasses
import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from innercodes import attacks, data, endpoints, games, interactions, models, players, sampling
from innercodes.parameters import Run, refusal
from innercodes.players import Game


def rounding(game: Game, network: nn.Module, samples: int) -> tuple[Tensor, Tensor]:
    """Rounding noise of the interactions of order 1 to n, and their own strength, mean over a few samples: (n,) each.

    The noise is the difference between interactions of the network as it is and of a copy that computes in float64.
    """
    exact = copy.deepcopy(network).double()
    floors, strengths = [], []
    for sample in range(min(samples, len(game.inputs))):
        single, double = (
            interactions.masked_outputs(games.score(game, net, sample, as_double), game.n, device=game.inputs.device)
            for net, as_double in ((network, False), (exact, True))
        )
        dividends = interactions.harsanyi(double)
        floors.append(interactions.order_strength(interactions.harsanyi(single) - dividends))
        strengths.append(interactions.order_strength(dividends))
    return torch.stack(floors).mean(0)[1:].cpu(), torch.stack(strengths).mean(0)[1:].cpu()


def parity(run: Run) -> tuple[dict[str, Tensor], dict[str, list[float]]]:
    """Outputs of the parity networks that come with the book and of their twins, for 64 inputs; and their accuracies."""
    parity_run = games.variant(run, "parity", "mlp3", n_players=10, n_samples=64, train_size=1000, mask_value=0.0)
    game = players.build(parity_run)
    shipped = range(3)
    networks = {
        "trained": [_shipped("parity_mlp", s, run, game) for s in shipped],
        "untrained": [models.untrained("mlp3", s, device=run.device, **game.sizes) for s in shipped],
        "memorising": [_shipped("parity_mlp_memorising", s, run, game) for s in shipped],
    }
    outputs = {kind: games.outputs(game, nets, progress=run.bars) for kind, nets in networks.items()}
    return outputs, games.accuracies(game, networks)


def _shipped(name: str, seed: int, run: Run, game: Game) -> nn.Module:
    return models.load("mlp3", seed, models.checkpoint(name, seed), run.device, **game.sizes)


def panel_outputs(run: Run) -> dict[str, dict[str, Tensor]]:
    """Masked outputs of every game of the panel, for the three kinds of networks."""
    found = {}
    for name, other in games.panel(run).items():
        game = players.build(other)
        networks = games.train(game, other)
        found[name] = {kind: games.outputs(game, nets) for kind, nets in networks.items()}
    return found


@dataclass(frozen=True)
class Fine:
    """Digits whose ink is cut into many players: networks, pictures, and for each kind its dividends for every size.

    `dividends[kind][i]` is (seeds, samples, 2^sizes[i]), `exponents[kind]` (seeds, samples).
    """

    game: Game
    networks: dict[str, list[nn.Module]]
    sizes: list[int]
    dividends: dict[str, list[Tensor]]
    exponents: dict[str, np.ndarray]


NO_INK = "Only a digit's ink can be cut into more and more players; this run has no digits, or leaves it out."


def fine_digits(run: Run, networks: Mapping[str, list[nn.Module]] | None = None) -> Fine | None:
    """Cut the ink of `fine_samples` digits into `fine_players` regions, and merge neighbours down to 6; None without digits.

    At the quick scale the digits are the embedded ones, with a small CNN trained here. A merged player's outputs are among
    those of the finest game, which alone is computed. Everything outside the ink is 0 already, so nothing is background.
    """
    if not run.fine_samples:
        return None
    if run.dataset == "tictactoe" and run.preset == "quick":
        run = games.variant(run, "digits", "cnn", n_samples=run.fine_samples)
        networks = None
    elif run.dataset not in ("digits", "mnist3"):
        return None
    game, groups = ink_game(run, run.fine_players, run.fine_samples)
    networks = networks or games.train(game, run)
    sizes = list(range(6, run.fine_players + 1, 2))
    outputs = {kind: games.outputs(game, nets, progress=run.bars) for kind, nets in networks.items()}
    outputs["random outputs"] = torch.randn(
        outputs["trained"].shape, dtype=torch.float64, generator=torch.Generator().manual_seed(run.seed)
    ).to(run.device)
    dividends = {}
    for kind, v in outputs.items():
        dividends[kind] = [
            interactions.harsanyi(torch.stack([endpoints.merged(v[:, s], own[n]) for s, own in enumerate(groups)], 1))
            for n in sizes
        ]
    return Fine(game, dict(networks), sizes, dividends, endpoints.exponents(outputs))


def ink_game(run: Run, finest: int, samples: int) -> tuple[Game, list[dict[int, Tensor]]]:
    """A game whose players are the regions of all the ink of a three, and for each sample how they merge into fewer.

    Takes the first `samples` of the run's threes that have ink enough. Raises ParameterError where there are fewer.
    """
    base = players.build(dataclasses.replace(run, values={**run.values, "n_players": 2, "n_samples": 2 * samples}))
    enough = [i for i, picture in enumerate(base.inputs) if int((picture > 0).sum()) >= finest][:samples]
    if len(enough) < samples:
        raise refusal("fine_samples", samples, f"at most {len(enough)}, the digits with ink for {finest} regions")
    inputs, labels = base.inputs[enough], base.labels[enough]
    cut = [data.ink_regions(picture[0].cpu(), finest) for picture in inputs]
    owner = torch.stack([regions for regions, _ in cut]).to(run.device)

    def masked(sample: int, masks: Tensor) -> Tensor:
        shown = masks[:, owner[sample].clamp(min=0)] & (owner[sample] >= 0)
        return torch.where(shown, inputs[sample, 0], run.mask_value)[:, None, None]

    game = dataclasses.replace(
        base, inputs=inputs, labels=labels, n=finest, masked=masked, player_names=(), masking=None
    )
    return game, [groups for _, groups in cut]


@dataclass(frozen=True)
class Sampled:
    """Exact and estimated effects of the same coalitions in trained networks, float64 (terms,), and a summary for each game and kind."""

    exact: np.ndarray
    estimated: np.ndarray
    summary: dict[str, dict[str, float]]


def sampled(fine: Fine, run: Run) -> Sampled:
    """Interactions of order three and below from sampled masks, beside the exact ones and where there are none.

    The known games are the digits cut into twelve, of whose 4096 masks a quarter are drawn; the unknown ones digits in
    twenty regions and, at the quick scale, sentences of twenty words, with `sampled_masks` masks each. The first network of a
    kind is asked; the kinds that stand beside the trained one, random outputs among them, about four digits of the twelve.
    """
    pairs, summary = {}, {}
    for kind in fine.dividends:
        fits, *pairs[kind] = _known(
            fine.dividends[kind][fine.sizes.index(12)][0, : 12 if kind == "trained" else 4], run
        )
        summary[f"12 regions, {kind}"] = _summary(fits) | {"correlation": float(np.corrcoef(*pairs[kind])[0, 1])}
    for name, game, networks in _beyond(fine, run):
        for kind, network in networks.items():
            fits = [_estimate(game, network, s, run) for s in range(len(game.inputs))]
            summary[f"{name}, {kind}"] = _summary(fits)
    return Sampled(*pairs["trained"], summary)


def _known(games_of: Tensor, run: Run) -> tuple[list[sampling.SparseGame], np.ndarray, np.ndarray]:
    """Fits to a quarter of the masks of games whose dividends (samples, 2^12) are known; exact and estimated effects (terms,)."""
    exact, estimated, fits = [], [], []
    for s, dividends in enumerate(games_of.cpu()):
        masks = sampling.sample_masks(12, 1024, run.seed + s)
        outputs = interactions.reconstruct(dividends)[_numbers(masks)]
        fits.append(sampling.fit(masks, outputs, MAX_ORDER, seed=run.seed))
        effects = torch.zeros_like(dividends)
        members = torch.tensor([[i in group for i in range(12)] for group in fits[-1].coalitions]).view(-1, 12)
        effects[_numbers(members)] = fits[-1].effects
        low = (interactions.orders(12) <= MAX_ORDER) & (interactions.orders(12) > 0)
        exact.append(dividends[low].numpy())
        estimated.append(effects[low].numpy())
    return fits, np.concatenate(exact), np.concatenate(estimated)


MAX_ORDER = 3
"""Largest order that is estimated from samples."""


def _numbers(masks: Tensor) -> Tensor:
    """The number of each coalition, bool (m, n) to int64 (m,)."""
    return (masks.long() * 2 ** torch.arange(masks.shape[-1])).sum(-1)


def _summary(fits: list[sampling.SparseGame]) -> dict[str, float]:
    return {
        "held-out R²": float(np.mean([fit.r2 for fit in fits])),
        "terms": float(np.mean([len(fit.coalitions) for fit in fits])),
    }


def _beyond(fine: Fine, run: Run):
    digits = run if run.dataset == "mnist3" else games.variant(run, "digits", "cnn", n_samples=run.fine_samples)
    yield "20 regions", ink_game(digits, 20, 4)[0], {kind: fine.networks[kind][0] for kind in ("trained", "untrained")}
    if run.preset == "quick" and "docstrings/lstm" in games.panel(run):
        words = games.variant(run, "docstrings", "lstm", n_players=20, n_samples=4)
        game = players.build(words)
        trained = games.train(game, dataclasses.replace(words, seeds=words.seeds[:1]), ["trained", "untrained"])
        yield "20 words", game, {kind: nets[0] for kind, nets in trained.items()}


def _estimate(game: Game, network: nn.Module, sample: int, run: Run) -> sampling.SparseGame:
    masks = sampling.sample_masks(game.n, run.sampled_masks, run.seed + sample)
    score = games.score(game, network, sample)
    with torch.no_grad():
        outputs = torch.cat([score(part.to(game.inputs.device)) for part in masks.split(256)]).cpu()
    return sampling.fit(masks, outputs, MAX_ORDER, seed=run.seed)


NO_ATTACK = "Words can not be moved by a small step, or there is no memorising twin to compare with."


def attacked_dividends(game: Game, networks: Mapping[str, list[nn.Module]], run: Run) -> dict[str, Tensor] | None:
    """Dividends on attacked inputs for each kind of network, and of the trained one on noise of equal norm.

    (seeds, attack_samples, 2^n) each; None where inputs are words. Each network is attacked by itself. Pictures stay
    within [0, 1]; other inputs may go anywhere in the box.
    """
    if game.masking is None or game.labels is None or "memorising" not in networks:
        return None
    count = min(run.attack_samples, len(game.inputs))
    low, high = (0.0, 1.0) if game.inputs.dim() == 4 else (-torch.inf, torch.inf)
    inputs, labels = game.inputs[:count], game.labels[:count]
    found: dict[str, list[Tensor]] = {kind: [] for kind in [*networks, "noise"]}
    for kind, nets in networks.items():
        for seed, network in zip(itertools.count(run.seed), nets, strict=False):
            hit = attacks.pgd(network, inputs, labels, run.attack_size, run.attack_steps, seed, low, high)
            found[kind].append(_dividends(game, network, hit))
            if kind == "trained":
                noisy = attacks.equal_noise(inputs, hit, seed, low, high)
                found["noise"].append(_dividends(game, network, noisy))
    return {kind: torch.stack(rows) for kind, rows in found.items()}


def _dividends(game: Game, network: nn.Module, inputs: Tensor) -> Tensor:
    """Dividends (samples, 2^n) of the first samples of a game with other inputs in their place."""
    moved = dataclasses.replace(game, inputs=inputs, labels=game.labels[: len(inputs)], masked=game.masking(inputs))
    return interactions.harsanyi(games.outputs(moved, [network])[0])


def part_sizes(networks: Mapping[str, list[nn.Module]], run: Run, draws: int, seed: int):
    """INT-12: shares of salient terms for parts of 3, 5 and 7 pixels on the same digits; a reason where there are none."""
    if run.dataset != "mnist3" or not run.all_part_sizes:
        return "The data of this run have no parts of 3, 5 and 7 pixels, or the comparison was left out."
    shares: dict[int, dict[str, np.ndarray]] = {}
    for size in (3, 5, 7):
        sized = dataclasses.replace(
            run, values={**run.values, "part_size": size, "n_samples": min(run.n_samples, run.fit_samples)}
        )
        other = players.build(sized)
        outputs = {kind: games.outputs(other, networks[kind], progress=run.bars) for kind in ("trained", "untrained")}
        shares[size] = {
            kind: endpoints.array(endpoints.salient_share(fit)) for kind, fit in games.fits(outputs, sized).items()
        }
    return endpoints.alike_in_size(shares, draws, seed)


def digit_example(run: Run, outputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor, float]:
    """A three of the panel's digits, its parts, and its strongest AND interaction of at least two parts in the small CNN.

    (8, 8) picture, bool (n, 8, 8) parts, bool (n,) members and the effect, from the first trained network.
    """
    game = players.build(games.panel(run)["digits/cnn"])
    dividends = interactions.harsanyi(outputs["trained"][0, 0]).cpu()
    several = interactions.orders(game.n) >= 2
    group = int((dividends.abs() * several).argmax())
    picture = game.inputs[0, 0].cpu()
    # A part is where showing it alone changes what the network sees at full background.
    alone = torch.eye(game.n, dtype=torch.bool, device=game.inputs.device)
    none = torch.zeros(1, game.n, dtype=torch.bool, device=game.inputs.device)
    parts = (game.masked(0, alone) != game.masked(0, none))[:, -1, 0].cpu()
    return picture, parts, interactions.coalitions(game.n)[group], float(dividends[group])
