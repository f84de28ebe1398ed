"""Four lenses on the same networks (chapter 05): one pass over the pictures, and every stage as all four papers would see it.

The lenses themselves are those of chapters 01 to 04; here they are pointed at one stage of one network after the other. A
`row` is a seed; a network that is there once stands in every row, with codebooks and maps of the row's seed.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from pandas import DataFrame
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from tqdm import tqdm

from innercodes import activations, depth, interactions, layer_codes, maps, spectra, symbol_meaning, symbol_survey
from innercodes import symbols as symbol_lens
from innercodes.lens_networks import TRAINED, Family
from innercodes.maps import StageMap
from innercodes.parameters import Run, refusal
from innercodes.pictures import at_once
from innercodes.symbol_survey import FITTED, UNSEEN, Shown, StageCode

LENSES = ("symbols", "interactions", "telescope", "spectra")
STRONGEST = 0.05
"""Share of the interactions whose R² is asked for, as claims/ fixed it."""
BATCH = 16
"""Pictures at a time: the maps of a small network then stay in the cache."""


# One pass over the pictures


@dataclass(frozen=True)
class Heard:
    """What a stage says to N pictures, reduced as the lenses want it.

    cells    float32 (N, 9, C), the response pooled in each cell of the region (symbols)
    parts    float32 (N, 5C), what `maps.stored` keeps: vector codes (telescope), whose second part are channel means
    columns  float32 (N, D), at most so many values of the map as the run says (spectra)
    """

    cells: Tensor
    parts: Tensor
    columns: Tensor

    @property
    def means(self) -> Tensor:
        """The mean of each channel over the picture, float32 (N, C)."""
        width = self.cells.shape[-1]
        return self.parts[:, width : 2 * width]


Said = tuple[dict[str, Heard], Tensor]
"""What all stages say, and the logits (N, classes)."""


def hear(network: nn.Module, shown: Shown, stages: Sequence[str], run: Run) -> Said:
    """What the stages of a network say to pictures, for all lenses, in one pass.

    Errors are those of `activations.collect`; ParameterError for a class token, which has no places.
    """
    for stage in stages:
        if stage.endswith(activations.CLASS_TOKEN):
            raise refusal(
                "stages", stage, "modules that say maps or tokens of the picture: regions are pooled from these"
            )
    widths: dict[str, list[int]] = {}
    pool, store = symbol_survey.pooling(run), maps.stored(run.center, run.negative)

    def reduction(stage: str) -> activations.Reduction:
        def reduce(found: Tensor, inputs: Tensor, rows: slice) -> Tensor:
            kept = (
                pool(found, shown.boxes[rows], tuple(inputs.shape[-2:])).flatten(1), store(found),
                activations.strided_columns(found, run.columns),
            )  # fmt: skip
            widths[stage] = [part.shape[1] for part in kept]
            return torch.cat(kept, 1)

        return reduce

    batches = shown.pictures.batches(BATCH, run.device)
    found = activations.collect(
        network, batches, (*stages, activations.OUTPUT), {stage: reduction(stage) for stage in stages},
        device=run.device, folder=".", placed=True,
    )  # fmt: skip
    heard = {}
    for stage in stages:
        cells, parts, columns = found[stage].split(widths[stage], 1)
        heard[stage] = Heard(cells.unflatten(1, (-1, parts.shape[1] // 5)), parts, columns)
    return heard, found[activations.OUTPUT]


def held(inputs: Tensor, like: Shown) -> Shown:
    """Other pictures (N, C, H, W) in the place of those shown, with the same labels and boxes."""
    pictures = dataclasses.replace(like.pictures, read=lambda row: inputs[row], rows=torch.arange(len(inputs)))
    return Shown(pictures, like.boxes)


# The stage-wise network


@dataclass(frozen=True)
class Readout:
    """A linear classifier on the channel means of a stage: `weights` (C, classes) and `bias` (classes,), float64."""

    weights: Tensor
    bias: Tensor

    def __call__(self, means: Tensor) -> Tensor:
        """Logits float64 (..., classes) of channel means (..., C)."""
        return means.double() @ self.weights.to(means.device) + self.bias.to(means.device)


def read_out(means: Tensor, labels: Tensor, classes: int) -> Readout:
    """The readout of channel means (N, C) and labels int64 (N,): scikit-learn's logistic regression on standardised means.

    A class without a picture has the logit of the rarest answer. With one class alone all logits are 0.
    """
    x = means.double()
    center, scale = x.mean(0), x.std(0, correction=0)
    scale = scale.where(scale > 1e-12, torch.ones_like(scale))
    weights, bias = torch.zeros(x.shape[1], classes).double(), torch.zeros(classes).double()
    known = labels.unique()
    if len(known) > 1:
        fit = LogisticRegression(max_iter=1000).fit(((x - center) / scale).numpy(), labels.numpy())
        rows, shift = torch.from_numpy(fit.coef_), torch.from_numpy(fit.intercept_)
        if len(known) == 2:  # one row tells two classes apart
            rows, shift = torch.cat([-rows, rows]) / 2, torch.cat([-shift, shift]) / 2
        bias[:] = float(shift.min())
        weights[:, known], bias[known] = rows.T, shift
    weights = weights / scale[:, None]
    return Readout(weights, bias - center @ weights)


def patches(size: tuple[int, int], n: int) -> Tensor:
    """Which of n players each pixel of a picture (H, W) belongs to, int64 (H, W): a grid as square as possible, row by row."""
    rows = max(r for r in range(1, int(n**0.5) + 1) if n % r == 0)
    if n // rows > 3 * rows:
        raise refusal("n_players", n, "rows x columns of patches that are not thin, such as 4, 6, 8, 9 or 12")
    down, right = (torch.arange(side) * parts // side for side, parts in zip(size, (rows, n // rows), strict=True))
    return down[:, None] * (n // rows) + right


def stagewise_outputs(
    network: nn.Module, readouts: Mapping[str, Readout], inputs: Tensor, classes: Tensor, run: Run
) -> dict[str, Tensor]:
    """What each stage says under every mask: pictures (N, C, H, W) and a class int64 (N,) for each to float64 (N, 2^n).

    The *stage-wise network* is the network up to a stage with a linear readout in the place of the rest; its output is the
    log-odds of the class (Ren et al. 2024, section 2). Players are patches of the picture; a masked one has `mask_value`.
    """
    stages, owner = tuple(readouts), patches(tuple(inputs.shape[-2:]), run.n_players).to(run.device)
    chunk = at_once(inputs, BATCH) if run.device.type == "cpu" else 1024
    network.eval()
    rows = []
    for picture, label in zip(inputs, classes, strict=True):
        picture, label = picture.to(run.device), label.to(run.device)

        def score(masks: Tensor, picture: Tensor = picture, label: Tensor = label) -> Tensor:
            views = torch.where(masks[:, owner][:, None], picture, run.mask_value)
            means = activations.collect(network, [views], stages, _channel_means, device=run.device)
            logits = torch.stack([readouts[stage](means[stage]) for stage in stages])
            return interactions.log_odds(logits, label.cpu())

        rows.append(interactions.masked_outputs(score, run.n_players, chunk, run.device))
    found = torch.stack(rows, 1) if rows else torch.empty(len(stages), 0, 2**run.n_players, dtype=torch.float64)
    return dict(zip(stages, found, strict=True))


def _channel_means(found: Tensor) -> Tensor:
    return found.mean((-2, -1))


# All lenses on one stage


@dataclass(frozen=True)
class StageView:
    """One stage of one network in all four lenses. Arrays of (1 + repeats,) begin with all pictures; the rest are resamplings.

    depth      place of the stage in its network, 0 the first to 1 the last
    alpha      slope of the eigenspectrum, debiased; `action` of a moving dot over the largest eigenvalue (spectra)
    distance   median distance of units of the map over its loss (telescope), from the fitted pictures
    chart      the map; `spread` float64 (N,) how far each unseen picture's units lie from its class's centre, and
               `shuffled_spread`, the mean spread of classes whose labels are shuffled
    code       codebook, map and symbols of the fitted pictures, and of the unseen ones that are read (symbols)
    equal      symbols of the same unseen pictures at the number that all stages share, int64 (n, cells)
    readout    of the stage-wise network, whose `outputs` float64 (P, 2^n) are those of the explained pictures (interactions)
    """

    depth: float
    alpha: np.ndarray
    action: np.ndarray
    distance: np.ndarray
    chart: StageMap
    spread: Tensor
    shuffled_spread: float
    code: StageCode
    equal: Tensor
    readout: Readout
    outputs: Tensor

    @property
    def dividends(self) -> Tensor:
        """Interactions float64 (P, 2^n) of the explained pictures."""
        return interactions.harsanyi(self.outputs)

    @property
    def explained(self) -> Tensor:
        """R² of the strongest share `STRONGEST` of the interactions, float64 (P,)."""
        dividends = self.dividends
        return interactions.explained(self.outputs, dividends, interactions.strongest(dividends, STRONGEST))


@dataclass(frozen=True)
class NetworkView:
    """One network, in the row of one seed: its stages shallow to deep, and what it says to the fitted and unseen pictures."""

    family: Family
    kind: str
    row: int
    network: nn.Module
    said: Mapping[str, Said]
    stages: Mapping[str, StageView]

    @property
    def logits(self) -> Tensor:
        """Of the unseen pictures."""
        return self.said[UNSEEN][1]

    @property
    def right(self) -> Tensor:
        """Whether the network is right on each unseen picture, bool (N,)."""
        return self.logits.argmax(-1) == self.family.material.unseen.labels


@dataclass(frozen=True)
class Views:
    """All networks of a run in all lenses; `explained` int64 (P,) are the unseen pictures whose masked outputs were computed."""

    run: Run
    families: Sequence[Family]
    views: Sequence[NetworkView]
    explained: Tensor

    def of(self, family: Family, kind: str) -> list[NetworkView]:
        """The networks of a kind, one for each row."""
        return [one for one in self.views if one.family is family and one.kind == kind]

    @property
    def first(self) -> Family:
        """The run's own family."""
        return self.families[0]


def survey(families: Sequence[Family], run: Run) -> Views:
    """Every network of every family in all lenses. Errors are those of the lenses."""
    explained = families[0].material.unseen.pictures.spread(run.samples)
    jobs = [(one, kind, i) for one in families for kind, members in one.members.items() for i in range(len(members))]
    found: list[NetworkView] = []
    with tqdm(jobs, unit="network", desc="four lenses", disable=not run.bars, mininterval=1) as bar:
        for family, kind, i in bar:
            found += _view(family, kind, i, explained, run)
    return Views(run, tuple(families), found, explained)


def _view(family: Family, kind: str, member: int, explained: Tensor, run: Run) -> list[NetworkView]:
    """One network, once for each row that it stands in."""
    network, material = family.members[kind][member], family.material
    said = {
        name: hear(network, part, family.stages, run)
        for name, part in ((FITTED, material.fitted), (UNSEEN, material.unseen))
    }
    classes = len(material.fitted.pictures.classes)
    readouts = {
        stage: read_out(heard.means, material.fitted.labels, classes) for stage, heard in said[FITTED][0].items()
    }
    shown = material.unseen.subset(explained)
    outputs = stagewise_outputs(network, readouts, shown.pictures.tensors()[0], shown.labels, run)
    dot = _dot(network, family, run)
    spectrum = {stage: _spectrum(said[UNSEEN][0][stage].columns, dot[stage], run) for stage in family.stages}
    views = []
    for row in range(member, len(run.seeds), len(family.members[kind])):
        # The map from symbols to classes is built as the family's trained network of the row says (chapter 01).
        trained = family.members[TRAINED][row % len(family.members[TRAINED])]
        logits = said[FITTED][1] if trained is network else _logits(trained, material.fitted, run)
        mapped = symbol_survey.built_from(logits.argmax(-1), material.fitted.labels, run.map_from)
        stages = {}
        for number, stage in enumerate(family.stages):
            heard = {name: part[0][stage] for name, part in said.items()}
            place = number / max(len(family.stages) - 1, 1)
            stages[stage] = StageView(
                place, *spectrum[stage], *_map(heard, material.fitted.labels, material.unseen.labels, run, run.seeds[row]),
                *_symbols(heard, material.fitted.labels, mapped, classes, run, run.seeds[row]),
                readouts[stage], outputs[stage],
            )  # fmt: skip
        views.append(NetworkView(family, kind, row, network, said, stages))
    return views


def _logits(network: nn.Module, shown: Shown, run: Run) -> Tensor:
    batches = shown.pictures.batches(BATCH, run.device)
    found = activations.collect(network, batches, (activations.OUTPUT,), {}, device=run.device)
    return found[activations.OUTPUT]


def _dot(network: nn.Module, family: Family, run: Run) -> dict[str, Tensor]:
    channels, *_, size = family.material.unseen.pictures[0][0].shape
    return layer_codes.said(network, family.stages, spectra.moving_dot(run.frames, size, channels=channels), run)


def resamplings(count: int, run: Run) -> list[Tensor]:
    """All places, and those that each resampling draws, int64 (count,) each."""
    return [torch.arange(count), *(maps.resample(count, number) for number in range(run.repeats))]


def _spectrum(columns: Tensor, dot: Tensor, run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Alpha and action, (1 + repeats,) each; NaN for a stage that says the same to all pictures."""
    rows = resamplings(len(columns), run)
    if any(bool((columns[one] == columns[one[0]]).all()) for one in rows):
        return np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    largest = [float(spectra.eigenspectrum(columns[one], run.columns, 1).eigenvalues[0]) for one in rows]
    slopes = [layer_codes.slope(columns[one], run) for one in rows]
    return np.array(slopes), float(spectra.mean_action(dot)) / np.array(largest)


def _map(
    heard: Mapping[str, Heard], labels: Tensor, unseen_labels: Tensor, run: Run, seed: int
) -> tuple[np.ndarray, StageMap, Tensor, float]:
    own, other = heard[FITTED].parts, heard[UNSEEN].parts
    chart = maps.chart(maps.coded(own, run.coding), maps.coded(other, run.coding, own), run, seed)
    one = dataclasses.replace(run, seeds=(seed,), bars=False)
    again = maps.replicate({"": [{"": own}]}, labels, one)[""][0][""]
    distance = np.array([chart.relative_distance, *(replicate.relative_distance for replicate in again)])
    spread, _ = depth.picture_spread(chart, labels, unseen_labels)
    return distance, chart, spread, depth.shuffled_spread(chart, labels)


def _symbols(
    heard: Mapping[str, Heard], labels: Tensor, mapped: Tensor, classes: int, run: Run, seed: int
) -> tuple[StageCode, Tensor]:
    vectors = {FITTED: heard[FITTED].cells, UNSEEN: heard[UNSEEN].cells[: run.read]}
    code = symbol_survey.code_stage(vectors, labels, mapped, classes, run, seed)
    return code, symbol_meaning.k_means(code, run.symbol_count, seed, UNSEEN)


# One table


def information(view: StageView, labels: Tensor, run: Run) -> float:
    """AMI of symbol and class at the number of symbols that all stages share, 0 at what permuted pictures give."""
    own = symbol_lens.information(view.equal, labels)
    return symbol_lens.corrected_information(
        own, symbol_lens.permuted_information(view.equal, labels, run.permutations, run.seed)
    )


def table(found: Views) -> DataFrame:
    """Network x seed x kind x stage to the numbers of all lenses, a row each.

    spectra: alpha, action; telescope: unit_distance, loss, class_spread, relative_spread (over that of shuffled labels);
    symbols: symbols (how many X-means finds), information, score (expected symbol score); interactions, medians over
    pictures: salient (share), exponent (NaN where no picture is monotone), high_order (share of strength), explained (R²), and
    strength_1 ... strength_n, mean strength of each order over that of all.
    """
    rows = []
    for one in found.views:
        labels = one.family.material.unseen.labels[: found.run.read]
        predicted = one.logits.argmax(-1)[: found.run.read]
        for stage, view in one.stages.items():
            dividends = view.dividends
            n = found.run.n_players
            strength = interactions.order_strength(dividends)[:, 1:]
            strength = (strength / strength.sum(-1, keepdim=True)).nanmedian(0).values
            p = torch.where(interactions.monotone(view.outputs), interactions.exponent(view.outputs), torch.nan)
            score = symbol_lens.expected_symbol_score(view.code.symbols[UNSEEN], predicted, view.code.correlations)
            rows.append(
                {
                    "family": one.family.name, "kind": one.kind, "seed": found.run.seeds[one.row], "stage": stage,
                    "depth": view.depth, "alpha": view.alpha[0], "action": view.action[0],
                    "unit_distance": view.distance[0], "loss": view.chart.loss, "class_spread": float(view.spread.nanmean()),
                    "relative_spread": float(view.spread.nanmean()) / view.shuffled_spread, "symbols": view.code.count,
                    "information": information(view, labels, found.run), "score": float(score.mean()),
                    "salient": float(interactions.salient(dividends).double().sum(-1).median()) / (2**n - 1),
                    "exponent": float(p.nanmedian()),
                    "high_order": float(interactions.high_order_share(dividends).nanmedian()),
                    "explained": float(view.explained.nanmedian()),
                }
                | {f"strength_{order}": float(value) for order, value in enumerate(strength, 1)}
            )  # fmt: skip
    return DataFrame(rows)
