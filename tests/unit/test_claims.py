"""Claims files, verdicts, intervals and the results file."""

import contextlib
import json
import math
import shutil

import numpy as np
import pytest

from innercodes import claims, parameters, provenance, stats

CHAPTER = "02_sparse_interactions"


def test_every_claim_of_the_four_papers_is_entered():
    ids = {claim["id"] for paper in claims.papers() for claim in paper["claims"]}
    expected = {
        f"{name}-{i}" for name, last in (("SYM", 21), ("INT", 27), ("TEL", 22), ("COD", 26)) for i in range(1, last + 1)
    }
    assert len(expected) == 96 and expected <= ids


def test_what_was_seen_before_registration_says_so():
    seen = {claim["id"] for paper in claims.papers() for claim in paper["claims"] if "seen" in claim}
    assert seen == {"COD-1", "COD-5", "COD-8", "TEL-5", "TEL-7"}


GOOD = """\
paper: {key: k, authors: a, title: t, chapter: 02_sparse_interactions}
claims:
  - id: INT-1
    statement: s
    where: w
    paper_says: p
    measure: m
    baseline: b
    kind: effect
    scales:
      quick: {scope: analog, op: ">=", threshold: 0.9, twin: true}
      imagenet: {not_tested: r}
      paper: {not_tested: r}
"""


@pytest.mark.parametrize(
    ("old", "new", "line", "word"),
    [
        ("    kind: effect\n", "    kind: effect\n    colour: red\n", 3, "colour"),
        ("    measure: m\n", "", 3, "measure"),
        ("kind: effect", "kind: feeling", 9, "feeling"),
        ('op: ">="', 'op: "=>"', 11, "=>"),
        ("threshold: 0.9", "threshold: 1e-9x", 11, "1e-9x"),
        ("threshold: 0.9, ", "", 11, "threshold"),
        ("imagenet: {not_tested: r}", "imagenet: {}", 12, "scope"),
        ("imagenet: {not_tested: r}", "imagenet: {not_tested: r, op: '<'}", 12, "op"),
        ("      paper: {not_tested: r}\n", "", 11, "paper"),
        ("threshold: 0.9", "threshold: [0, 1]", 11, "within"),
        ("threshold: 0.9", "threshold: .nan", 11, "within"),
        ('op: ">=", threshold: 0.9', "op: within, threshold: [1, 0]", 11, "smaller first"),
        ("    kind: effect\n", "    kind: effect\n    kind: identity\n", 10, "stands twice"),
        (GOOD, "", 1, "empty"),
        ("id: INT-1", "id: XYZ-1", 3, "XYZ"),
    ],
)
def test_a_fault_in_a_claims_file_is_an_error_that_names_the_line(tmp_path, old, new, line, word):
    path = tmp_path / "x.yml"
    path.write_text(GOOD)
    claims.read(path)
    assert old in GOOD
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(claims.ClaimsError) as caught:
        claims.read(path)
    assert f"x.yml, line {line}:" in str(caught.value) and word in str(caught.value)


def test_a_duplicate_id_names_both_lines(tmp_path):
    path = tmp_path / "x.yml"
    path.write_text(GOOD + GOOD.split("claims:\n")[1])
    with pytest.raises(claims.ClaimsError, match="line 14: INT-1 stands in line 3 already"):
        claims.read(path)


def test_an_id_in_two_files_is_refused(tmp_path):
    (tmp_path / "a.yml").write_text(GOOD)
    (tmp_path / "b.yml").write_text(GOOD)
    with pytest.raises(claims.ClaimsError, match="INT-1"):
        claims.papers(tmp_path)


def scale(**changed):
    return {"scope": "analog", "op": ">=", "threshold": 0.9, "twin": False} | changed


@pytest.mark.parametrize(
    ("test", "arguments", "verdict"),
    [
        (scale(), {"value": 0.9}, "reproduced"),
        (scale(), {"value": 0.89}, "not reproduced"),
        (scale(op=">"), {"value": 0.9}, "not reproduced"),
        (scale(op="<", threshold=1.0), {"value": 0.9}, "reproduced"),
        (scale(op="<=", threshold=0.9), {"value": 0.9}, "reproduced"),
        (scale(op="within", threshold=[1, 2]), {"value": 2.0}, "reproduced"),
        (scale(op="within", threshold=[1, 2]), {"value": 2.1}, "not reproduced"),
        (scale(interval=True), {"value": 0.95, "ci": (0.91, 0.99)}, "reproduced"),
        (scale(interval=True), {"value": 0.95, "ci": (0.89, 0.99)}, "not reproduced"),
        (scale(twin=True), {"value": 0.95, "twin": (0.1, 0.2)}, "reproduced"),
        (scale(twin=True), {"value": 0.95, "twin": (-0.1, 0.2)}, "partly"),
        (scale(twin=True), {"value": 0.95, "twin": (-0.2, -0.1)}, "partly"),
        (scale(twin=True), {"value": 0.5, "twin": (0.1, 0.2)}, "not reproduced"),
        (scale(twin=True, op="<", threshold=1), {"value": 0.5, "twin": (-0.2, -0.1)}, "reproduced"),
        (scale(twin=True, op="within", threshold=[0, 1]), {"value": 0.5, "twin": (-0.2, -0.1)}, "reproduced"),
        (
            scale(also=[{"name": "a", "measure": "m", "op": ">", "threshold": 0}]),
            {"value": 1, "also": {"a": 1}},
            "reproduced",
        ),
        (
            scale(also=[{"name": "a", "measure": "m", "op": ">", "threshold": 0}]),
            {"value": 1, "also": {"a": 0}},
            "partly",
        ),
        # What could not be asked did not hold, and does not hide that another condition fails.
        (
            scale(also=[{"name": "a", "measure": "m", "op": ">", "threshold": 0}]),
            {"value": 1, "also": {"a": None}},
            "partly",
        ),
        (
            scale(also=[{"name": "a", "measure": "m", "op": ">", "threshold": 0}]),
            {"value": 0.5, "also": {"a": None}},
            "not reproduced",
        ),
        (scale(), {"value": math.nan}, "not reproduced"),
    ],
)
def test_verdicts(test, arguments, verdict):
    assert claims.judge(test, **arguments)[0] == verdict


def test_a_condition_that_was_not_asked_is_named_last():
    also = [{"name": name, "measure": "m", "op": ">", "threshold": 0} for name in "ab"]
    assert claims.judge(scale(also=also), 1, also={"a": None, "b": 1}) == ("partly", "a could not be asked")
    assert claims.judge(scale(also=also), 1, also={"a": None, "b": -1})[1] == "b = -1, needed > 0"


@pytest.mark.parametrize(
    ("test", "arguments"),
    [
        (scale(twin=True), {"value": 1}),
        (scale(interval=True), {"value": 1}),
        (scale(also=[{"name": "a", "measure": "m", "op": ">", "threshold": 0}]), {"value": 1}),
        (scale(), {"value": 1, "also": {"b": 1}}),
    ],
)
def test_a_judgement_without_what_its_claim_asks_for_is_an_error(test, arguments):
    with pytest.raises(ValueError):
        claims.judge(test, **arguments)


def new_results(tmp_path, **changed) -> claims.Results:
    values = {p.name: p.default for p in parameters.CHAPTERS[CHAPTER]} | {"out_dir": str(tmp_path / "out")} | changed
    return claims.Results(parameters.check(CHAPTER, values))


def test_the_results_file_follows_the_contract(tmp_path):
    results = new_results(tmp_path)
    results.judge("INT-1", 0.0, baseline={"untrained": 0.0})
    results.metrics["x"] = 1.5
    path = results.write()
    content = json.loads(path.read_text())
    assert set(content) == {"chapter", "preset", "run", "parameters", "provenance", "claims", "metrics"}
    assert {
        "commit",
        "dirty",
        "source_hash",
        "lock_hash",
        "claims_hash",
        "started",
        "seconds",
        "hardware",
        "packages",
    } == set(content["provenance"])
    assert [row["id"] for row in content["claims"]] == [f"INT-{i}" for i in range(1, 28)]
    assert all({"id", "value", "ci", "baseline", "verdict", "note"} <= set(row) for row in content["claims"])
    assert content["claims"][0]["verdict"] == "reproduced"
    others = content["claims"][1:]
    assert all(row["verdict"] == "not tested here" and row["note"] and row["value"] is None for row in others)
    assert [p.name for p in path.parent.iterdir()] == ["results.json"]


def test_a_number_that_json_does_not_know_is_null_and_not_the_end_of_the_run(tmp_path):
    results = new_results(tmp_path)
    results.metrics["nested"] = {"medians": [1.0, math.inf, np.float64("nan")], "kind": "x"}
    content = json.loads(results.write().read_text())
    assert content["metrics"]["nested"] == {"medians": [1.0, None, None], "kind": "x"}


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    results = new_results(tmp_path)
    path = results.write()
    before = path.read_text()
    results.metrics["bad"] = object()
    with pytest.raises(TypeError):
        results.write()
    assert path.read_text() == before and [p.name for p in path.parent.iterdir()] == ["results.json"]


def test_values_that_can_not_be_judged_are_refused(tmp_path):
    results = new_results(tmp_path)
    with pytest.raises(ValueError, match="INT-99"):
        results.judge("INT-99", 1.0)
    for bad in (
        {"value": math.nan},
        {"value": 1.0, "baseline": {"a": math.nan}},
        {"value": 1.0, "ci": (0.0, math.inf)},
    ):
        with pytest.raises(ValueError, match="INT-1: not a number or infinite"):
            results.judge("INT-1", **bad)
    with pytest.raises(ValueError, match="INT-3: not a number"):
        results.judge("INT-3", 1.0, (0.9, 1.0), twin=stats.Estimate(1.0, np.array([1.0, math.nan])))
    with pytest.raises(ValueError, match="not tested at quick"):
        results.judge("INT-26", 1.0)


def test_the_bootstrap_agrees_with_theory():
    values = np.random.default_rng(0).normal(3, 2, (3, 400))
    estimate = stats.bootstrap(values, draws=4000)
    low, high = estimate.interval()
    # Samples are drawn once for all seeds, so the mean over seeds is a mean of 400 numbers.
    error = 1.96 * values.mean(0).std() / 20
    assert estimate.value == pytest.approx(values.mean())
    assert low == pytest.approx(values.mean() - error, abs=0.15 * error)
    assert high == pytest.approx(values.mean() + error, abs=0.15 * error)
    assert np.array_equal(estimate.draws, stats.bootstrap(values, draws=4000).draws)


def test_a_network_that_equals_its_twin_differs_by_zero():
    values = np.random.default_rng(0).random((3, 50))
    same = stats.bootstrap(values, values, np.median, 500)
    assert same.value == 0 and same.interval() == (0, 0) and same.p == 1


def test_pairing_makes_a_constant_difference_certain():
    values = np.random.default_rng(0).normal(0, 100, (3, 50))
    difference = stats.bootstrap(values + 1, values, draws=300)
    assert difference.interval() == pytest.approx((1, 1))


def normal(mean: float, seed: int) -> stats.Estimate:
    return stats.Estimate(mean, np.random.default_rng(seed).normal(mean, 1, 200_000))


def test_holm_steps_down():
    """Against the adjusted p-values written out by hand: sorted p times 3, 2, 1, and the running maximum of them."""
    estimates = {"a": normal(2.6, 1), "b": normal(2.2, 2), "c": normal(1.5, 3)}
    intervals = stats.holm(estimates)
    p = {name: 2 * 0.5 * math.erfc(e.value / math.sqrt(2)) for name, e in estimates.items()}
    adjusted, largest = {}, 0.0
    for factor, name in zip((3, 2, 1), sorted(p, key=p.get), strict=True):
        largest = max(largest, factor * p[name])
        adjusted[name] = largest
    assert {name: low > 0 for name, (low, _) in intervals.items()} == {name: q < 0.05 for name, q in adjusted.items()}
    assert adjusted["a"] < 0.05 < adjusted["b"] * 1.2  # the case has something to decide
    # What a later test alone would show is not believed once the step-down has stopped.
    stopped = stats.holm({"a": normal(2.3, 1), "b": normal(2.2, 2), "c": normal(2.1, 3)})
    assert all(low <= 0 <= high for low, high in stopped.values())


def test_too_few_draws_prove_nothing():
    few = {str(i): stats.Estimate(9.0, np.full(100, 9.0)) for i in range(13)}
    assert all(low <= 0 for low, _ in stats.holm(few).values())
    assert stats.holm({"one": stats.Estimate(9.0, np.full(100, 9.0))})["one"] == (9.0, 9.0)


def test_a_change_of_the_tests_makes_a_run_old(tmp_path):
    root = copy_sources(tmp_path)
    shutil.copytree(provenance.ROOT / "claims", root / "claims")
    before = provenance.claims_hash(CHAPTER, root)
    assert before == provenance.claims_hash(CHAPTER)
    (root / "claims" / "telescope.yml").write_text("changed")
    assert provenance.claims_hash(CHAPTER, root) == before
    with (root / "claims" / "interactions.yml").open("a") as file:
        file.write("# changed\n")
    assert provenance.claims_hash(CHAPTER, root) != before


def test_compare_is_what_judge_takes():
    values = {
        kind: np.random.default_rng(i).random((3, 40)) for i, kind in enumerate(("trained", "untrained", "shuffled"))
    }
    found = stats.compare(values, np.median, 200, 0)
    assert found["value"] == pytest.approx(np.median(values["trained"], axis=1).mean())
    assert set(found["baseline"]) == {"untrained", "shuffled"}
    gap = np.median(values["trained"], axis=1).mean() - np.median(values["untrained"], axis=1).mean()
    assert found["twin"].value == pytest.approx(gap)


@contextlib.contextmanager
def changed(path, edit):
    old = path.read_text()
    path.write_text(edit(old))
    assert path.read_text() != old, path.name
    yield
    path.write_text(old)


def copy_sources(tmp_path):
    for part in ("notebooks", "src"):
        shutil.copytree(
            provenance.ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
        )
    return tmp_path


def test_the_source_hash_covers_code_and_imports_but_not_prose(tmp_path):
    root = copy_sources(tmp_path)
    before = provenance.source_hash(CHAPTER, root)
    assert before == provenance.source_hash(CHAPTER)
    chapter = root / "notebooks" / f"{CHAPTER}.py"
    text = chapter.read_text()
    chapter.write_text(text.replace("# # Sparse interactions", "# # Sparse interactions, told anew"))
    assert provenance.source_hash(CHAPTER, root) == before
    for heading, counts in (("## Exercises", False), ("## The record", True)):
        added = f"# %% [markdown]\n# {heading}\n\n# %%\nmine = ...\n\n"
        with changed(
            chapter,
            lambda text, added=added, heading=heading: text.replace(f"# %% [markdown]\n# {heading}\n", added, 1),
        ):
            assert (provenance.source_hash(CHAPTER, root) != before) == counts, heading
    package = root / "src" / "innercodes"
    for name, added in (
        ("site", "\nx = 1\n"),  # not imported
        ("interactions", "\n\ndef nobody_calls_this():\n    return 1\n"),
        ("parameters", '\nCHAPTERS["99_another"] = ()\n'),
        ("games", "\n# a comment\n"),
    ):
        with changed(package / f"{name}.py", lambda text, added=added: text + added):
            assert provenance.source_hash(CHAPTER, root) == before, name
    for name, old, new in (
        ("moebius", "in_place: bool", "in_place: int"),  # reached through interactions and coalitions
        ("tables", "def table(", "@staticmethod\ndef table("),
        ("parameters", "958", "957"),  # a value in the chapter's own entry
        ("text", "def sst2(", "def sst2(more=0, *"),  # reached by its name as a string alone
        ("claims", '"""\n\nimport', '"""\n\nprint("at import")\nimport'),  # binds no name
        ("_compat", "\nrepair_pyclustering()", "\nrepair_pyclustering() or None"),
    ):
        with changed(package / f"{name}.py", lambda text, old=old, new=new: text.replace(old, new, 1)):
            assert provenance.source_hash(CHAPTER, root) != before, name
    for name, old, new in (
        (
            "spectra",
            "def explained_variance(",
            "def explained_variance(more=0, *",
        ),  # telescope has one, and it is not used
        ("provenance", "def lock_hash(", "def lock_hash(more, "),
        ("moebius", "from torch import Tensor", "from torch import Tensor, nn"),
    ):
        with changed(package / f"{name}.py", lambda text, old=old, new=new: text.replace(old, new, 1)):
            assert provenance.source_hash("03_functional_telescope", root) == provenance.source_hash(
                "03_functional_telescope"
            )
            assert provenance.source_hash(CHAPTER, root) == before, name
    # Another object's method, and a key of the results, have these names: neither is a function of a module.
    for name, old, new in (
        ("maps", "def fit(", "def fit(*, "),
        ("architectures", "def endpoints(", "def endpoints(*, "),
    ):
        with changed(package / f"{name}.py", lambda text, old=old, new=new: text.replace(old, new, 1)):
            for chapter_of, same in (("04_coding_spectra", True), ("03_functional_telescope", False)):
                hashes = {provenance.source_hash(chapter_of, place) for place in (root, provenance.ROOT)}
                assert (len(hashes) == 1) == same, (chapter_of, name)
    with changed(
        package / "telescope.py", lambda text: text.replace("def explained_variance(", "def explained_variance(*, ")
    ):
        assert provenance.source_hash("03_functional_telescope", root) != provenance.source_hash(
            "03_functional_telescope"
        )
    with changed(
        package / "moebius.py", lambda text: text.replace("import numpy as np", "import numpy as np  # np", 1)
    ):
        assert provenance.source_hash(CHAPTER, root) == before  # not what is imported
    with changed(
        package / "moebius.py", lambda text: text.replace("from torch import Tensor", "from numpy import Tensor", 1)
    ):
        assert provenance.source_hash(CHAPTER, root) != before
    chapter.write_text(text.replace("results.write()", "results.write()  # changed"))
    assert provenance.source_hash(CHAPTER, root) != before
