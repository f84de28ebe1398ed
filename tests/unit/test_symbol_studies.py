"""The tables of what symbols tell: each number against a loop over pictures and seeds, scikit-learn, or the endpoint of its claim."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from made_surveys import CELLS, STAGES, a_run, a_survey
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score, roc_auc_score
from sklearn.neighbors import NearestCentroid

from innercodes import stats, symbol_meaning, symbol_reach, symbol_studies, symbol_warnings, xmeans
from innercodes import symbols as lens
from innercodes.symbol_reach import Hidden
from innercodes.symbol_survey import BOTH, FITTED, NEW, UNSEEN, Attacked, Attacks, Look

# Scores that differ in their last bit alone count as a tie in one of the two ways.
TIES = {"rel": 0, "abs": 2e-3}


@pytest.fixture(scope="module")
def made():
    return a_survey()


@pytest.fixture(scope="module")
def attacked(made):
    generator = torch.Generator().manual_seed(9)
    rows = torch.arange(5, 55)

    def one(kind, row, variants, stages):
        symbols, logits = {}, {}
        for name, share in variants.items():
            clean = made.said["trained"][row][UNSEEN].logits[rows]
            # As a network never is: every picture is attacked to another class, with its own probability.
            logits[name] = clean.where(torch.rand(50, 1, generator=generator) > share, clean.roll(1, -1))
            symbols[name] = {}
            for stage in stages:
                before = made.codes[kind][row][stage].symbols[UNSEEN][rows]
                other = torch.randint(6, before.shape, generator=generator)
                symbols[name][stage] = before.where(torch.rand(before.shape, generator=generator) > share, other)
        return Attacked(symbols, logits)

    own = {
        kind: [one(kind, row, {"clean": 0.0, "PGD": 0.6, "equal noise": 0.2}, STAGES) for row in made.rows]
        for kind in BOTH
    }
    lent = [one("untrained", row, {"clean": 0.0, "PGD": 0.7}, ("two",)) for row in made.rows]
    lent = [dataclasses.replace(a, logits=b.logits) for a, b in zip(lent, own["trained"], strict=True)]
    return Attacks(rows, made.labels[rows], own, lent)


def one_row(table, **where):
    for name, value in where.items():
        table = table[table[name].isna() if value is None else table[name] == value]
    assert len(table) == 1, where
    return table.iloc[0]


def ess(made, kind, row, stage, symbols, predicted, log=False):
    table = made.codes[kind][row][stage].correlations.given_class.numpy()
    table = np.log(table) if log else table
    pairs = zip(symbols.tolist(), predicted.tolist(), strict=True)
    return np.array([np.mean([table[cell, c] for cell in sorted(cells)]) for cells, c in pairs])


def scored(made, kind, row, stage, name, log=False):
    predicted = made.said["trained"][row][name].logits.argmax(-1)
    return ess(made, kind, row, stage, made.codes[kind][row][stage].symbols[name], predicted, log)


def auroc(inside, outside):
    return roc_auc_score([1] * len(inside) + [0] * len(outside), np.concatenate([inside, outside]))


def rights(made):
    return [(made.said["trained"][row][UNSEEN].logits.argmax(-1) == made.labels).numpy() for row in made.rows]


def test_an_interval_is_the_bootstraps_and_nothing_is_none():
    rows = np.random.default_rng(0).normal(size=(3, 40))
    found = symbol_studies.interval(rows, np.mean, a_run(bootstrap=70), 50)
    expected = stats.bootstrap(rows, draws=50)
    assert found == (expected.value, *expected.interval()) and found[1] < found[0] < found[2]
    # The run's own number of draws is never exceeded.
    assert symbol_studies.interval(rows, np.mean, a_run(bootstrap=20), 50)[1:] == stats.bootstrap(rows, draws=20).interval()  # fmt: skip
    assert np.isnan(symbol_studies.interval(rows * np.nan, symbol_studies.mean_of_asked, a_run())).all()
    some = np.array([[1.0, np.nan, 4.0], [np.nan, np.nan, np.nan]])
    np.testing.assert_array_equal(symbol_studies.mean_of_asked(some, 1), [2.5, np.nan])


def test_aurocs_of_errors_and_of_outside_sets_by_loops(made):
    table = symbol_studies.aurocs(made, resamples=20, fewest=5)
    assert set(table["question"]) == {"errors", "far", "near"}
    for kind, stage, log in itertools.product(BOTH, STAGES, (False, True)):
        reader, values = "ESS log" if log else "ESS", {"errors": [], "far": [], "near": []}
        for row, right in zip(made.rows, rights(made), strict=True):
            unseen = scored(made, kind, row, stage, UNSEEN, log)
            values["errors"].append(auroc(unseen[right], unseen[~right]))
            for name in ("far", "near"):
                values[name].append(auroc(unseen, scored(made, kind, row, stage, name, log)))
        for question, each in values.items():
            found = one_row(table, question=question, reader=reader, kind=kind, stage=stage)
            assert found["value"] == pytest.approx(np.mean(each), **TIES)
            assert found["low"] < found["value"] < found["high"]


def test_aurocs_are_those_of_the_claims(made, attacked):
    table = symbol_studies.aurocs(made, attacked, resamples=20, fewest=5)

    def value(question, reader, kind="trained", stage=None):
        return one_row(table, question=question, reader=reader, kind=kind, stage=stage)["value"]

    errors = symbol_warnings.correctness(made, fewest=1)
    assert value("errors", "ESS", stage="two") == errors["value"]
    for name in ("max-softmax", "energy"):
        assert value("errors", name) == errors["baseline"][name]
    outside = symbol_warnings.familiarity(made)["baseline"]
    assert value("far", "ESS", stage="two") == outside["against far"]
    # Each endpoint is the mean over seeds of the smaller, which lies at or below the smaller mean.
    for reader, key in (("Mahalanobis", "Mahalanobis"), ("sum over stages", "all stages"), ("energy", "energy")):
        assert min(value(name, reader) for name in ("far", "near")) >= outside[key] - 1e-12
    synchrony = symbol_warnings.synchrony(made)["baseline"]
    assert [value(name, "agreement") for name in ("far", "near")] == [
        synchrony[f"against {name}"] for name in ("far", "near")
    ]
    # The numbers of the endpoint for attacks, which asks for the attack that raises the score too.
    own = [
        dataclasses.replace(
            one, symbols=one.symbols | {"adaptive": one.symbols["PGD"]}, logits=one.logits | {"adaptive": one.logits["PGD"]}
        )
        for one in attacked.own["trained"]
    ]  # fmt: skip
    adapted = dataclasses.replace(attacked, own=attacked.own | {"trained": own})
    judged = symbol_warnings.adversarial(made, adapted)
    assert value("PGD", "ESS", stage="two") == judged["value"]
    assert value("PGD", "ESS", "untrained", "two") == judged["baseline"]["untrained"]
    assert value("PGD", "max-softmax") == judged["baseline"]["max-softmax"]
    assert value("noise", "ESS", stage="two") == judged["baseline"]["equal noise"]
    # The twin has read the last stage of the attacked pictures alone, and no noise.
    untrained = table[table["kind"] == "untrained"]
    assert set(untrained[untrained["question"] == "PGD"]["stage"].dropna()) == {"two"}
    assert "noise" not in set(untrained["question"])
    assert "Mahalanobis" not in set(table[table["question"] == "PGD"]["reader"])


def test_sums_and_agreement_by_loops(made):
    table = symbol_studies.aurocs(made, resamples=5, fewest=5)
    sums, same = [], []
    for row, right in zip(made.rows, rights(made), strict=True):
        total = sum(scored(made, "trained", row, stage, UNSEEN) for stage in STAGES)
        sums.append(auroc(total[right], total[~right]))
        one, two = (made.named("trained", row, stage) for stage in STAGES)
        agree = (one == two).double().numpy()
        same.append(auroc(agree[right], agree[~right]))
    assert one_row(table, question="errors", reader="sum over stages", kind="trained")["value"] == pytest.approx(
        np.mean(sums), **TIES
    )
    assert one_row(table, question="errors", reader="agreement", kind="trained")["value"] == pytest.approx(
        np.mean(same)
    )
    alone = symbol_studies.aurocs(dataclasses.replace(made, stages=("two",)), resamples=5)
    assert not set(alone["reader"]) & {"agreement", "sum over stages"}


def test_a_question_without_an_answer_is_left_out(attacked):
    sure = a_survey(right=1.0)
    truth = {name: torch.nn.functional.one_hot(shown.labels % 4, 4).double() for name, shown in sure.sets.items()}
    said = [
        {name: dataclasses.replace(one, logits=truth[name]) for name, one in members.items()}
        for members in sure.said["trained"]
    ]
    sure = dataclasses.replace(sure, said=dict(sure.said) | {"trained": said})
    table = symbol_studies.aurocs(sure, resamples=5)
    assert set(table["question"]) == {"far", "near"} and table["value"].notna().all()


def test_errors_are_asked_about_where_every_seed_has_enough(made):
    fewest = min(int((~right).sum()) for right in rights(made))
    for asked, there in ((fewest, True), (fewest + 1, False), (symbol_warnings.FEWEST_ERRORS, False)):
        table = symbol_studies.aurocs(made, resamples=5, fewest=asked)
        assert ("errors" in set(table["question"])) == there and {"far", "near"} <= set(table["question"])
    none = symbol_studies.aurocs(dataclasses.replace(made, outside=()), resamples=5)
    assert not len(none)


def test_scores_are_those_of_every_picture(made, attacked):
    table = symbol_studies.scores(made, attacked)
    assert list(table.columns) == ["kind", "seed", "stage", "group", "score"]
    for kind, stage, (row, right) in itertools.product(BOTH, STAGES, enumerate(rights(made))):
        mine = table[(table["kind"] == kind) & (table["stage"] == stage) & (table["seed"] == row)]
        unseen = scored(made, kind, row, stage, UNSEEN)
        groups = {"right": unseen[right], "wrong": unseen[~right]}
        groups |= {name: scored(made, kind, row, stage, name) for name in ("far", "near")}
        one = (attacked.own["trained"] if kind == "trained" else attacked.lent)[row]
        if stage == "two" or kind == "trained":
            before, after = (one.logits[name].argmax(-1) for name in ("clean", "PGD"))
            won = (before == attacked.labels) & (after != attacked.labels)
            assert 0 < int(won.sum()) < 50
            groups["PGD"] = ess(made, kind, row, stage, one.symbols["PGD"][stage], after)[won.numpy()]
        assert set(mine["group"]) == set(groups)
        for group, expected in groups.items():
            np.testing.assert_allclose(mine[mine["group"] == group]["score"], expected)
    logs = symbol_studies.scores(made, log=True)
    assert (logs["score"] < 0).all() and "PGD" not in set(logs["group"])


def test_meaning_is_corrected_for_cells_that_go_together(made):
    generator = torch.Generator().manual_seed(3)
    truths = {"class": made.labels, "part": torch.randint(3, (60, CELLS), generator=generator)}
    table = symbol_studies.meaning(made, truths, permutations=9, resamples=30)
    for kind, stage, name in itertools.product(BOTH, STAGES, truths):
        values, purities = [], []
        for row in made.rows:
            symbols = made.codes[kind][row][stage].symbols[UNSEEN]
            truth = truths[name] if truths[name].ndim == 2 else truths[name][:, None].expand(-1, CELLS)
            own = adjusted_mutual_info_score(truth.flatten(), symbols.flatten())
            chance = float(lens.permuted_information(symbols, truths[name], 9, 0).mean())
            values.append((own - chance) / (1 - chance))
            pairs = zip(symbols.flatten().tolist(), truth.flatten().tolist(), strict=True)
            counts = np.zeros((9, 4))
            for symbol, shown in pairs:
                counts[symbol, shown] += 1
            purities.append(counts.max(1).sum() / counts.sum())
        found = one_row(table, kind=kind, stage=stage, truth=name)
        assert found["value"] == pytest.approx(np.mean(values)) and found["purity"] == pytest.approx(np.mean(purities))
        assert found["low"] < found["value"] < found["high"]
    assert one_row(table, kind="trained", stage="two", truth="class")["low"] > 0.05
    assert abs(one_row(table, kind="trained", stage="two", truth="part")["value"]) < 0.03
    again = symbol_studies.meaning(made, truths, permutations=9, resamples=30)
    assert again.equals(table)


def test_draws_of_information_spread_as_those_of_the_score_itself(made):
    symbols = made.codes["trained"][0]["two"].symbols[UNSEEN]
    picks = np.random.default_rng(0).integers(0, 60, (300, 60))
    found = symbol_studies.information_draws(symbols, made.labels, picks)
    exact = np.array([lens.information(symbols[pick], made.labels[pick]) for pick in torch.from_numpy(picks)])
    assert np.corrcoef(found, exact)[0, 1] > 0.995 and found.std() == pytest.approx(exact.std(), rel=0.05)
    everything = symbol_studies.information_draws(symbols, made.labels, np.arange(60)[None])
    assert everything[0] == pytest.approx(lens.information(symbols, made.labels))


def test_clusters_are_what_the_claim_compares(made):
    generator = torch.Generator().manual_seed(4)
    shape = made.codes["trained"][0]["one"].symbols[FITTED].shape

    def cloud():
        return torch.randn(*shape, 3, generator=generator), torch.randint(3, shape, generator=generator)

    noise = {kind: [{stage: cloud() for stage in STAGES} for _ in made.rows] for kind in BOTH}
    table = symbol_studies.clusters(made, noise, most=None)
    assert len(table) == 2 * 3 * 2 and (table["surrogate_count"] == 3).all()
    assert table[table["stage"] == "one"]["count"].tolist() == [6] * 6
    again = {s: [{FITTED: made.codes["trained"][row][s].symbols[FITTED]} for row in made.rows] for s in STAGES}
    judged = symbol_meaning.clusters(made, noise, again, most=None)
    gaps = table.assign(gap=table["silhouette"] - table["surrogate_silhouette"])
    for kind, value in (("trained", judged["value"]), ("untrained", judged["baseline"]["untrained"])):
        smallest = gaps[gaps["kind"] == kind].groupby("seed")["gap"].min()
        assert smallest.mean() == pytest.approx(value, abs=1e-9)
    assert set(symbol_studies.clusters(made, {"trained": noise["trained"]}, most=10)["kind"]) == {"trained"}


def test_stability_has_a_row_for_each_pair(made):
    again = {
        kind: {
            s: [{UNSEEN: made.codes[kind][row][s].symbols[UNSEEN].roll(row, 0)} for row in made.rows] for s in STAGES
        }
        for kind in BOTH
    }
    table = symbol_studies.stability(made, again)
    for kind, stage in itertools.product(BOTH, STAGES):
        known = [codes[stage].symbols[UNSEEN] for codes in made.codes[kind]]
        seeds = [one[UNSEEN] for one in again[kind][stage]]
        for between, codings in (("networks", known), ("seeds", seeds)):
            expected = [adjusted_rand_score(a.flatten(), b.flatten()) for a, b in itertools.combinations(codings, 2)]
            mine = table[(table["kind"] == kind) & (table["stage"] == stage) & (table["between"] == between)]
            assert mine["value"].tolist() == pytest.approx(expected) and len(expected) == 3
    assert set(symbol_studies.stability(made)["between"]) == {"networks"}
    # One network in every row: the rows are seeds of its embedding.
    alone = dataclasses.replace(made, said={kind: members[:1] for kind, members in made.said.items()})
    assert set(symbol_studies.stability(alone)["between"]) == {"seeds"}


def read_by_loop(fitted, unseen, count, labels, mapped, classes):
    table = np.full((count, classes), 1e-6)
    for cells, label in zip(fitted[mapped].tolist(), labels[mapped].tolist(), strict=True):
        for cell in cells:
            table[cell, label] += 1
    table /= table.sum(1, keepdims=True)
    return np.array([table[sorted(cells)].mean(0).argmax() for cells in unseen.tolist()])


def test_prediction_by_loops(made):
    table = symbol_studies.prediction(made, resamples=20)
    controls = {"random symbols", "permuted labels", "nearest mean", "network"}
    assert set(table["reader"]) == {"symbols", "k-means", "PCA"} | controls
    labels, truth = made.sets[FITTED].labels, made.labels.numpy()
    for kind, stage in itertools.product(BOTH, STAGES):
        right = {name: [] for name in ("symbols", "k-means", "PCA", "nearest mean")}
        for row in made.rows:
            code, mapped = made.codes[kind][row][stage], made.mapped(row)
            fitted, unseen = (made.said[kind][row][name].vectors[stage] for name in (FITTED, UNSEEN))
            model = KMeans(code.count, random_state=row).fit(code.codebook.embedding.double().numpy())
            by_k = [model.predict(code.points[n].flatten(0, 1).double().numpy()).reshape(-1, CELLS) for n in (FITTED, UNSEEN)]  # fmt: skip
            axes = PCA(3, random_state=row).fit(fitted.flatten(0, 1).numpy())
            places = [torch.from_numpy(axes.transform(part.flatten(0, 1).numpy())) for part in (fitted, unseen)]
            clusters = xmeans.fit(places[0], row, 20)
            by_pca = [xmeans.assign(part, clusters.centers).view(-1, CELLS) for part in places]
            pairs = {
                "symbols": (code.symbols[FITTED], code.symbols[UNSEEN], code.count),
                "k-means": (*map(torch.from_numpy, by_k), code.count),
                "PCA": (*by_pca, len(clusters.centers)),
            }
            for name, pair in pairs.items():
                right[name].append((read_by_loop(*pair, labels, mapped, 4) == truth).mean())
            nearest = NearestCentroid().fit(fitted.flatten(1).numpy(), labels.numpy())
            right["nearest mean"].append((nearest.predict(unseen.flatten(1).numpy()) == truth).mean())
        for name, values in right.items():
            found = one_row(table, kind=kind, stage=stage, reader=name)
            # Of PCA's axes the library's signs and last bits are free, and with them one tie or another.
            assert found["value"] == pytest.approx(np.mean(values), abs=0.03 if name == "PCA" else 1e-9)
        for name in ("random symbols", "permuted labels"):
            assert one_row(table, kind=kind, stage=stage, reader=name)["value"] < 0.45
    assert one_row(table, kind="trained", stage="two", reader="symbols")["low"] > 0.6
    network = one_row(table, kind="trained", reader="network", stage=None)
    assert network["value"] == pytest.approx(np.mean(rights(made)))
    few = one_row(symbol_studies.prediction(made, 2, 5), kind="trained", stage="two", reader="permuted labels")
    shares = []
    for row, i in itertools.product(made.rows, range(2)):
        code, mapped, moved = made.codes["trained"][row]["two"], made.mapped(row), labels.clone()
        moved[mapped] = lens.permuted_by_picture(labels[mapped], 1000 * row + i)
        named = read_by_loop(code.symbols[FITTED], code.symbols[UNSEEN], code.count, moved, mapped, 4)
        shares.append((named == truth).mean())
    assert few["value"] == pytest.approx(np.mean(shares))
    chance = one_row(table, kind="trained", stage="two", reader="permuted labels")["value"]
    assert chance == pytest.approx(0.25, abs=0.08)
    with pytest.raises(ValueError, match="^permutations = 0"):
        symbol_studies.prediction(made, 0)


def test_counts_are_k_means_at_each_number(made):
    table = symbol_studies.counts(made, (20, 3, 3, 10**6), resamples=20)
    assert table["count"].tolist() == [3, 20, 3, 20] and table["kind"].tolist() == [k for k in BOTH for _ in range(2)]
    for kind, count in itertools.product(BOTH, (3, 20)):
        right = []
        for row in made.rows:
            code = made.codes[kind][row]["two"]
            pair = [symbol_meaning.k_means(code, count, row, name) for name in (FITTED, UNSEEN)]
            named = read_by_loop(*pair, count, made.sets[FITTED].labels, made.mapped(row), 4)
            right.append((named == made.labels.numpy()).mean())
        found = one_row(table, kind=kind, count=count)
        assert found["accuracy"] == pytest.approx(np.mean(right)) and found["low"] <= found["accuracy"] <= found["high"]


def test_shots_are_those_of_the_claim(made):
    # So many draws that every picture is asked.
    table = symbol_studies.shots(made, (3, 1, 50), draws=20, resamples=20)
    assert sorted(set(table["shots"])) == [1, 3] and len(table) == 2 * 5
    judged = symbol_reach.temporary_learning(made, shots=3, draws=20)["baseline"]
    keys = {"symbols": "accuracy, two", "pixels, nearest mean": "pixels", "responses, nearest mean": "pooled responses"}
    for reader, key in keys.items():
        assert one_row(table, reader=reader, shots=3)["value"] == pytest.approx(judged[key])
    twin = [
        lens.k_shot(codes["two"].symbols[NEW], made.sets[NEW].labels, 3, 20, seed, symbol_count=9).by_picture.nanmean()
        for seed, codes in enumerate(made.codes["untrained"])
    ]
    assert one_row(table, reader="symbols, untrained", shots=3)["value"] == pytest.approx(np.mean(twin))
    assert (table[table["reader"] == "chance"]["value"] == 0.2).all()
    assert (symbol_studies.shots(made, (1,), 2, held_out=2, resamples=5)["value"]).iloc[-1] == 0.5
    with pytest.raises(ValueError, match=r"^counts = \[10, 0\]: must have a number from 1 to 9"):
        symbol_studies.shots(made, (10, 0))
    without = {name: part for name, part in made.sets.items() if name != NEW}
    with pytest.raises(ValueError, match="^survey: sets .*must have 'new'"):
        symbol_studies.shots(dataclasses.replace(made, sets=without))


def test_growth_has_a_row_for_each_seed_and_epoch(made):
    labels = made.labels

    def course(seed):
        random = torch.randint(5, (60, CELLS), generator=torch.Generator().manual_seed(seed))
        clear = labels[:, None].expand(-1, CELLS)
        return [random, random.where(torch.arange(CELLS) < 4, clear), clear]

    run = a_run((4, 7))
    table = symbol_studies.growth(run, (0, 2, 8), [course(1), course(2)], [course(3)[0]] * 2, labels)
    assert table.columns.tolist() == ["kind", "seed", "epoch", "value"] and len(table) == 8
    middle = one_row(table, kind="trained", seed=7, epoch=2)["value"]
    expected = adjusted_mutual_info_score(labels[:, None].expand(-1, CELLS).flatten(), course(2)[1].flatten())
    assert middle == pytest.approx(expected) and 0.05 < middle < 0.95
    assert one_row(table, kind="trained", seed=4, epoch=8)["value"] == pytest.approx(1)
    assert abs(one_row(table, kind="shuffled", seed=4, epoch=8)["value"]) < 0.05
    with pytest.raises(ValueError, match="^snapshots: must be 2 for each of 2 seeds"):
        symbol_studies.growth(run, (0, 2), [course(1), course(2)], [course(3)[0]] * 2, labels)


def test_coverage_has_points_and_a_curve():
    right = torch.tensor([1, 1, 1, 0, 0, 1, 0, 1]).bool()
    kept = torch.tensor([1, 1, 0, 1, 0, 1, 0, 0]).bool()
    none = torch.zeros(8, dtype=torch.bool)
    confidence = torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2])
    looks = {"trained": [Look(right, kept, none, confidence, 0.1), Look(right, ~kept, kept, confidence.flip(0), 0.1)]}
    table = symbol_studies.coverage(looks, points=4)
    point = one_row(table, reader="region keeps class")
    assert point["coverage"] == 0.5 and point["accuracy"] == pytest.approx((3 / 4 + 2 / 4) / 2)
    # The first network keeps no random box: the second one alone has an accuracy there.
    box = one_row(table, reader="random box")
    assert box["coverage"] == 0.25 and box["accuracy"] == 0.75
    curve = table[table["reader"] == "max-softmax"]
    assert curve["coverage"].tolist() == [0.25, 0.5, 0.75, 1.0]
    expected = [np.mean([right[:n].double().mean(), right[8 - n :].double().mean()]) for n in (2, 4, 6, 8)]
    assert curve["accuracy"].tolist() == pytest.approx(expected)
    with pytest.raises(ValueError, match="^points = 0"):
        symbol_studies.coverage(looks, 0)


def test_costs_are_the_claims_and_add_up(made):
    look = Look(*torch.ones(3, 60).bool(), torch.rand(60), 0.25)
    table = symbol_studies.costs(made, [look] * 3, region_seconds=0.75)
    assert table["step"].tolist() == [*symbol_reach.STEPS, "bare pass"]
    # The middle seed takes 4 s for its embedding.
    assert table["seconds"].tolist() == pytest.approx([1.0, 2.0, 0.5, 4.0, 1.0, 1.0])
    assert table["share"].tolist()[:-1] == pytest.approx([x / 8.5 for x in (1.0, 2.0, 0.5, 4.0, 1.0)])
    assert np.isnan(table["share"].iloc[-1])


def test_keep_rates_are_shares_by_class():
    generator = torch.Generator().manual_seed(3)
    labels = torch.arange(50) % 3
    none = torch.zeros(50)

    def look():
        return Look(none, torch.rand(50, generator=generator) < 0.2 + 0.2 * labels, none, none, 0.0)

    looks = {kind: [look() for _ in range(2)] for kind in BOTH}
    table = symbol_studies.keep_rates(looks, labels, ("a", "b", "c", "none of it"))
    assert table["name"].tolist() == ["a", "b", "c"] * 2 and table["pictures"].tolist()[:3] == [17, 17, 16]
    for kind, (number, name) in itertools.product(BOTH, enumerate("abc")):
        row = one_row(table, kind=kind, name=name)
        kept = [float(k) for one in looks[kind] for k, y in zip(one.kept, labels, strict=True) if y == number]
        assert row["value"] == pytest.approx(np.mean(kept)) and row["low"] <= row["value"] <= row["high"]


def test_accuracy_under_attack_by_loops(made, attacked):
    table = symbol_studies.under_attack(made, attacked, resamples=20)
    assert table["reader"].tolist() == [*STAGES, "all but last", "network"] * 2
    own = attacked.own["trained"]
    for variant in ("clean", "PGD"):
        for stage in STAGES:
            each = []
            for row, one in enumerate(own):
                given = made.codes["trained"][row][stage].correlations.given_symbol
                cells_of = one.symbols[variant][stage].sort(-1).values.tolist()
                named = [int(torch.stack([given[cell] for cell in cells]).mean(0).argmax()) for cells in cells_of]
                each.append(np.mean(np.array(named) == attacked.labels.numpy()))
            assert one_row(table, variant=variant, reader=stage)["value"] == pytest.approx(np.mean(each), **TIES)
        network = np.mean([float((one.logits[variant].argmax(-1) == attacked.labels).double().mean()) for one in own])
        assert one_row(table, variant=variant, reader="network")["value"] == pytest.approx(network)
    # With two stages all but the last is the first.
    early = table[table["reader"].isin(["one", "all but last"])].groupby("variant")["value"].nunique()
    assert (early == 1).all()


def test_layers_of_another_domain_are_read_one_by_one(monkeypatch):
    # In three dimensions the vectors are their own embedding.
    monkeypatch.setattr("innercodes.codebook.embed", lambda vectors, *_, **__: vectors)
    monkeypatch.setattr("innercodes.codebook.Codebook.place", lambda _, vectors: vectors)
    generator = torch.Generator().manual_seed(0)
    labels, unseen = torch.arange(90) % 3, torch.tensor([0] * 30 + [1] * 20 + [2] * 10)

    def hidden(told):
        def says(classes):
            random = torch.randint(3, classes.shape, generator=generator)
            where = classes.where(torch.rand(len(classes), generator=generator) < told, random)
            return 20 * torch.eye(3)[where] + torch.randn(len(classes), 3, generator=generator)

        return Hidden(says(labels), says(unseen))

    shares = {"layer 1": {"trained": 0.5, "untrained": 0.0}, "layer 2": {"trained": 1.0, "untrained": 0.0}}
    networks = {layer: {kind: [hidden(told)] for kind, told in of.items()} for layer, of in shares.items()}
    table = symbol_studies.layers(a_run(), networks, labels, unseen, resamples=20)
    for kind in BOTH:
        assert one_row(table, kind=kind, reader="largest class")["value"] == 0.5
        for layer in shares:
            one = networks[layer][kind][0]
            mean = NearestCentroid().fit(one.fitted.numpy(), labels).score(one.unseen.numpy(), unseen)
            assert one_row(table, kind=kind, stage=layer, reader="nearest mean")["value"] == pytest.approx(mean)
    value = {layer: one_row(table, kind="trained", stage=layer, reader="symbols")["value"] for layer in shares}
    assert value["layer 2"] == 1 > value["layer 1"] > 0.5
