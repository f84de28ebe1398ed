# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Sparse interactions
#
# *One minute on two CPU cores, 1 GB of memory, no download.*
#
# Mask some of a network's inputs and it answers differently. With $n$ inputs there are $2^n$ ways to mask them, and
# so $2^n$ answers. All of them can be written as sums of *interactions*: effects that appear only when a certain group
# of inputs is present together.
#
# ```{admonition} The paper at a glance
# :class: tip
# **Question.** Does a trained network use many of the $2^n$ possible interactions, or only a few?
#
# **Answer of the paper.** Only a few. They explain every masked output, and a bound on their number can be proved from
# three mild conditions.
#
# **Source.** {cite:t}`ren2024`.
# ```
#
# After this chapter you can
#
# - compute the eight interactions of three players by hand,
# - explain why interactions always add up to the masked outputs, for any network,
# - tell what a trained network adds to that, by comparing it with an untrained one.
#
# You need: what a logit is, and a little PyTorch. The [glossary](../glossary.md) has the other terms.

# %% [markdown]
# ## Parameters
#
# The cell below holds every choice of this chapter. Change one here, or from the command line with papermill.

# %% tags=["parameters"]
preset = "quick"  # scale of the run: quick, imagenet, paper
run = "default"  # name of the run within its preset
seed = 0  # first seed, 0 or larger
n_seeds = 3  # networks trained, one per seed, 1 or more
device = "auto"  # auto, cpu, cuda, ...
threads = 1  # CPU threads, 1 or more
data_root = ""  # folder that holds the data sets; embedded data need none
weights = ""  # file with the network's weights; empty: trained here
out_dir = "runs"  # folder that takes results.json
progress = "auto"  # progress bars: auto, on, off
dataset = "tictactoe"  # tictactoe, mnist3
model = "mlp5"  # mlp5 for tictactoe, lenet for mnist3
n_players = 9  # input variables that can be masked; 9 for tictactoe
n_samples = 958  # samples whose masked outputs are all computed
train_size = 958  # training samples
epochs = 1000  # passes over the training samples
learning_rate = 0.1  # at the start; it ends at a tenth
mask_value = 0.0  # what a masked variable is replaced by
salience = 0.05  # salient from this share of the strongest interaction, 0 to 1
strongest_share = 0.05  # share of the terms kept to rebuild all outputs, 0.001 to 1
bootstrap = 2000  # resamples behind an interval
show_examples = True  # draw samples (only of embedded data)

# %%
from innercodes import parameters

settings = parameters.check("02_sparse_interactions", globals())
settings

# %%
import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import plotly.express as px
import seaborn as sns
import torch

from innercodes import claims, figures, games, interactions, models, oracles, plots, stats

plots.style()
results = claims.Results(settings)

# %% [markdown]
# ## Three players, by hand
#
# A film night with Ann, Bo and Cy. Every guest who comes brings some fun, and some guests are better together. Let
# $v(S)$ be the fun when just the guests in $S$ come.
#
# The *Harsanyi interaction* (or dividend) of a group is the fun that is left when everything its smaller groups already
# explain is taken away:
#
# $$ I(S) = \sum_{T \subseteq S} (-1)^{|S| - |T|}\, v(T) $$ (eq-harsanyi)
#
# Alone, Ann brings 2, Bo 1 and Cy 0. Ann and Bo together make 6, which is 3 more than $2 + 1$: their interaction is 3.

# %%
guests = ["Ann", "Bo", "Cy"]
groups = interactions.coalitions(3)
fun = torch.tensor([0.0, 2.0, 1.0, 6.0, 0.0, 2.0, 0.0, 4.0], dtype=torch.float64)
dividends = interactions.harsanyi(fun)
pd.DataFrame({"who comes": figures.names(groups, guests), "fun v(S)": fun, "interaction I(S)": dividends})

# %%
plots.show(
    figures.lattice(fun, dividends, guests),
    name="three-players",
    alt="The eight groups of three guests as a cube, from nobody at the bottom to all three at the top. Each group shows its "
    "fun and its interaction: Ann 2, Bo 1, Ann with Bo 3, Bo with Cy minus 1, all three minus 1, the others 0.",
    caption="Eight groups, eight outputs, eight interactions. Read an interaction as: what this group adds beyond all its "
    "parts. Bo and Cy together have 0 fun although Bo alone has 1, so their interaction is −1.",
)

# %% [markdown]
# Now go back. Add up the interactions of all groups inside $S$, and $v(S)$ is there again. This is the paper's
# Theorem 1:
#
# $$ v(S) = \sum_{T \subseteq S} I(T) $$ (eq-matching)
#
# The two formulas undo each other for **any** eight numbers. So a perfect match says nothing about a network yet.

# %%
interactions.reconstruct(dividends)

# %% [markdown]
# A fast way matters: the sum in {eq}`eq-harsanyi` has $3^n$ terms in all. Taking the players one after the other needs
# only $n\,2^{n-1}$ subtractions. Both give the same numbers.

# %%
outputs = torch.randn(2**6, dtype=torch.float64, generator=torch.Generator().manual_seed(settings.seed))
float((interactions.harsanyi(outputs) - oracles.harsanyi(outputs)).abs().max())

# %% [markdown]
# ## Interactions contain the Shapley values
#
# The Shapley value of a player is its average contribution over all orders in which players can arrive. Share every
# interaction equally among its members, and the same number comes out (Theorem 4). Two relatives for groups, the Shapley
# interaction index and the Shapley–Taylor index, follow in the same way (Theorems 5 and 6).
#
# We hold each formula against its textbook definition, on random games with two to six players.

# %%
seeds = [torch.Generator().manual_seed(s) for s in settings.seeds]
random_games = [torch.randn(2**n, dtype=torch.float64, generator=g) for g in seeds for n in range(2, 7)]
gaps = {"INT-15": [], "INT-20": [], "INT-21": []}
for v in random_games:
    i = interactions.harsanyi(v)
    gaps["INT-15"].append(interactions.shapley(i) - oracles.shapley(v))
    gaps["INT-20"].append(interactions.shapley_interaction(i) - oracles.shapley_interaction(v))
    for order in range(1, interactions.players(v) + 1):
        gaps["INT-21"].append(interactions.shapley_taylor(i, order) - oracles.shapley_taylor(v, order))

# %%
results.judge("INT-15", max(float(gap.abs().max()) for gap in gaps["INT-15"]), note="random games, 2 to 6 players")

# %%
results.judge("INT-20", max(float(gap.abs().max()) for gap in gaps["INT-20"]), note="random games, 2 to 6 players")

# %%
results.judge(
    "INT-21", max(float(gap.abs().max()) for gap in gaps["INT-21"]), note="random games, 2 to 6 players, all orders"
)

# %% [markdown]
# ## What can not be sparse
#
# Before we look at a network: some functions need *many* interactions, however clever we are. The paper lists them, and
# each is a one-line check.
#
# **OR.** "At least one of ten inputs is present" is a single OR term. Written with interactions, which are ANDs, it needs
# every one of the $2^{10} - 1 = 1023$ groups.

# %%
present_any = interactions.coalitions(10).any(-1).double()
and_terms = int((interactions.harsanyi(present_any).abs() > 1e-9).sum())
or_terms = int((interactions.or_interactions(present_any).abs() > 1e-9).sum())
results.judge("INT-16", and_terms, also={"or_terms": or_terms}, baseline={"OR terms": or_terms})

# %% [markdown]
# **Parity.** Let the output be $+1$ when an odd number of inputs is present, else $-1$. Then $|I(S)| = 2^{|S|}$: every
# group matters, and larger groups matter more.

# %%
size = interactions.orders(10)
parity = 2.0 * (size % 2).double() - 1
parity_strength = interactions.harsanyi(parity).abs()
results.judge("INT-17", float((parity_strength - 2.0**size)[1:].abs().max()))

# %% [markdown]
# **Waves.** A periodic output, here $\sin$ of the number of present inputs, is not sparse either: all 1023 interactions
# are salient.

# %%
wave = interactions.harsanyi(torch.sin(size.double()))
results.judge("INT-25", float(interactions.salient(wave, settings.salience).sum()) / (2**10 - 1))

# %% [markdown]
# **Noise.** Noise of variance $\sigma^2$ on every output becomes noise of variance $2^{|S|} \sigma^2$ on the interaction of
# $S$, because $2^{|S|}$ outputs enter its sum. High orders drown first. We measure it on 4000 draws of pure noise.

# %%
noise = torch.randn(4000, 2**8, dtype=torch.float64, generator=torch.Generator().manual_seed(settings.seed))
noise_order = interactions.orders(8)
noise_variance = interactions.harsanyi(noise).var(0)
by_order = [float(noise_variance[noise_order == k].mean()) for k in range(9)]
results.judge("INT-18", max(abs(v / 2**k - 1) for k, v in enumerate(by_order)), baseline="0 by the formula")

# %%
figure, axes = plt.subplots(figsize=(6, 3.4))
sns.scatterplot(
    x=noise_order.numpy(), y=noise_variance.numpy(), s=14, alpha=0.5, linewidth=0, ax=axes, label="each interaction"
)
axes.plot(range(9), [2**k for k in range(9)], color=plots.PALETTE[1], label="$2^{|S|}$")
axes.set(yscale="log", xlabel="order |S|", ylabel="variance of I(S)")
axes.legend()
plots.show(
    figure,
    name="noise",
    alt="Variance of the interactions of pure noise against their order, on a log scale. All points lie on the line two to "
    "the order, from 1 at order 0 to 256 at order 8.",
    caption="Noise doubles with every order. Each dot is one of the 256 interactions of pure noise with variance 1, the line "
    "is the formula. A real interaction of high order must stand out from this.",
)

# %% [markdown]
# **And what must be sparse.** If a function is a polynomial of degree $d$, no group of more than $d$ inputs can interact
# (Lemma 1). We build a small network whose only non-linearity is a product of $d$ linear maps.

# %%
beyond = []
for generator, degree in itertools.product(seeds, (1, 2, 3, 4)):
    maps = torch.randn(degree, 16, 10, dtype=torch.float64, generator=generator)
    inputs = interactions.coalitions(10).double() * torch.randn(10, dtype=torch.float64, generator=generator)
    strength = interactions.harsanyi((inputs @ maps.mT).prod(0).sum(-1)).abs()
    beyond.append(float(strength[size > degree].max() / strength[1:].max()))
results.judge("INT-22", max(beyond), note="degrees 1 to 4, ten players")

# %% [markdown]
# ## A real game
#
# Theory done. At the quick scale the data are all 958 boards at which a game of tic-tac-toe can end. The network, an MLP
# with five layers, learns to say whether x has won. The nine squares are the players, and a masked square becomes blank.
#
# One network is trained for each seed. Beside it stand two twins: an *untrained* one with the same start that sees no
# data, and a *memorising* one that is trained in the same way on shuffled labels.

# %%
game = games.load(settings)
networks = {"trained": [], "untrained": [], "memorising": []}
for s in settings.seeds:
    mixed = torch.randperm(len(game.train.labels), generator=torch.Generator().manual_seed(s)).to(settings.device)
    for kind, labels in (("trained", game.train.labels), ("untrained", None), ("memorising", game.train.labels[mixed])):
        given = settings.weights if kind == "trained" else ""
        network = models.load(settings.model, s, given, settings.device)
        if labels is not None and not given:
            models.train(
                network, game.train.inputs, labels, settings.epochs, settings.learning_rate, s, progress=settings.bars
            )
        networks[kind].append(network)

# %%
accuracy = {kind: [models.accuracy(m, game.inputs, game.labels) for m in nets] for kind, nets in networks.items()}
results.metrics["accuracy"] = accuracy
pd.DataFrame(accuracy, index=pd.Index(settings.seeds, name="seed")).round(3)

# %% [markdown]
# The score of a board is the log-odds of its true class,
#
# $$ v(x) = \log \frac{p(y \mid x)}{1 - p(y \mid x)} . $$ (eq-log-odds)
#
# We compute it for every sample and every mask. At the quick scale that is $958 \times 2^9 = 490\,496$ outputs for each
# network.
#
# One more baseline: the trained network's own outputs, *shuffled* over the masks. It keeps the values and loses their
# meaning.

# %%
v = {
    kind: torch.stack([games.outputs(game, m, progress=settings.bars) for m in nets]) for kind, nets in networks.items()
}
shuffle = torch.randperm(2**game.n, generator=torch.Generator().manual_seed(settings.seed)).to(settings.device)
v["shuffled"] = v["trained"][..., shuffle]
effects = {name: interactions.harsanyi(outputs) for name, outputs in v.items()}
v["trained"].shape

# %% [markdown]
# **Universal matching.** Theorem 1 on real outputs: the interactions rebuild all of them, up to rounding.

# %%
gap = {
    name: float(((interactions.reconstruct(effects[name]) - v[name]).abs().amax(-1) / v[name].abs().amax(-1)).max())
    for name in ("trained", "untrained")
}
results.judge("INT-1", gap["trained"], baseline={"untrained": gap["untrained"]})

# %% [markdown]
# ### Are only a few interactions strong?
#
# Sort the interactions of each sample by strength, divide by the strongest, and average the curves. A sparse network
# falls at once. This is the paper's main picture (its Figure 3).

# %%
curves = {name: figures.sorted_strengths(effect) for name, effect in effects.items()}
salient_share = {
    name: float(interactions.salient(effect, settings.salience).double().mean()) for name, effect in effects.items()
}
results.metrics["salient_share"] = salient_share
plots.show(
    figures.curves(curves, "interactions, strongest first", "strength, share of the strongest", line=settings.salience),
    name="sorted-strengths",
    alt="Strength of the interactions, sorted, as a share of the strongest. "
    + ", ".join(f"{name}: {share:.0%} above the dotted line" for name, share in salient_share.items())
    + ".",
    caption=f"Sorted strengths, mean over samples; bands span the {settings.n_seeds} seeds. Above the dotted line an "
    f"interaction counts as salient (share {settings.salience:g} of the strongest): "
    + ", ".join(f"{share:.1%} ({name})" for name, share in salient_share.items())
    + ".",
)

# %% [markdown]
# Compare the three curves before you believe in sparsity. Training is not the only thing that bends them: an untrained
# network with masked inputs is already far from shuffled outputs. The paper also fits an AND–OR split that sharpens the
# curve before it counts. That step is not in this chapter yet, so the claim on the share (INT-2) waits.

# %% [markdown]
# ### Do the strongest few explain everything?
#
# Keep only the strongest interactions of a sample, forget the others, and rebuild all masked outputs. How much of their
# variance is explained?

# %%
shares = np.geomspace(1 / (2**game.n - 1), 1, 24)
explained = {
    name: torch.stack([interactions.explained(v[name], e, interactions.strongest(e, share)) for share in shares], -1)
    for name, e in effects.items()
}
plots.show(
    figures.explained_curves(explained, shares, settings.strongest_share),
    name="explained",
    alt="Explained variance of all masked outputs against the share of interactions kept, for trained, untrained and "
    "shuffled outputs. All reach one when every interaction is kept.",
    caption=f"How much of all {2**game.n} outputs do the strongest interactions explain? Median over samples, mean over seeds. "
    "Below 0 the few kept terms are worse than the mean. The dotted line marks the share at which the claim is judged.",
)

# %%
kept = {
    name: interactions.explained(v[name], e, interactions.strongest(e, settings.strongest_share)).cpu().numpy()
    for name, e in effects.items()
}
fit = stats.bootstrap(kept["trained"], statistic=np.median, draws=settings.bootstrap, seed=settings.seed)
fit_gain = stats.bootstrap(kept["trained"], kept["untrained"], np.median, settings.bootstrap, settings.seed)
results.judge(
    "INT-3", fit.value, fit.interval(), twin=fit_gain,
    baseline={name: float(np.median(kept[name], axis=-1).mean()) for name in ("untrained", "memorising", "shuffled")},
)  # fmt: skip

# %% [markdown]
# ### Does more input mean more output?
#
# The paper's proof needs the average output to grow with the number of unmasked inputs. Let $\bar u^{(m)}$ be the mean of
# $v(x_S) - v(x_\varnothing)$ over all groups of $m$ inputs. A sample is *monotone* when
# $\bar u^{(0)} \le \bar u^{(1)} \le \dots \le \bar u^{(n)}$.

# %%
means = {name: interactions.order_means(outputs) for name, outputs in v.items()}
plots.show(
    figures.order_means(means),
    name="order-means",
    alt="Mean output against the number of inputs shown, with a band between the quartiles of the samples, for trained, "
    "untrained and shuffled outputs.",
    caption="Average output by the number of inputs shown. Line: mean over samples and seeds; band: middle half of the "
    "samples. Each is divided by its own standard deviation over masks, so that the networks can be compared.",
)

# %%
monotone = {name: (m.diff(dim=-1) >= 0).all(-1).double().cpu().numpy() for name, m in means.items()}
rising = stats.bootstrap(monotone["trained"], draws=settings.bootstrap, seed=settings.seed)
rising_gain = stats.bootstrap(monotone["trained"], monotone["untrained"], draws=settings.bootstrap, seed=settings.seed)
results.judge(
    "INT-5", rising.value, rising.interval(), twin=rising_gain,
    baseline={name: float(monotone[name].mean()) for name in ("untrained", "memorising", "shuffled")},
)  # fmt: skip

# %% [markdown]
# ### What does the network see?
#
# At the quick scale we can look. Below is a board that x has won, with the strongest interaction of three squares or more
# marked on it. Does the network use the winning line?

# %%
first = effects["trained"][0]
if settings.show_examples and settings.dataset == "tictactoe":
    sample = int(torch.nonzero(game.labels == 1)[0, 0])
    strongest = figures.strongest_group(first[sample], at_least=3)
    plots.show(
        figures.board(game.inputs[sample], interactions.coalitions(game.n)[strongest], float(first[sample, strongest])),
        name="board",
        alt="A finished board of tic-tac-toe with the squares of the strongest interaction of three squares or more marked.",
        caption="A board that x has won, and its strongest interaction of at least three squares: the marked squares act "
        "together, and the number is what they add to the log-odds of 'x has won'.",
    )

# %% [markdown]
# Turn the picture into numbers you can explore: each dot is one interaction of that first sample. Point at it to read its
# members.

# %%
sample = int(torch.nonzero(game.labels == 1)[0, 0])
members = interactions.coalitions(game.n)
table = pd.DataFrame(
    {
        "order": interactions.orders(game.n),
        "interaction": first[sample].cpu(),
        "players": figures.names(members, [f"{i + 1}" for i in range(game.n)]),
        "salient": np.where(interactions.salient(first[sample], settings.salience).cpu(), "salient", "not salient"),
    }
)[1:]
explorer = px.strip(
    table,
    x="order",
    y="interaction",
    color="salient",
    hover_data=["players"],
    category_orders={"salient": ["salient", "not salient"]},
)
explorer.update_layout(height=420, margin={"t": 20}, legend_title_text="")
plots.show(
    explorer,
    name="explorer",
    alt="Every interaction of one sample against its order. Most lie near zero; the salient ones are marked.",
    caption="All interactions of one sample by order. Point at a dot to see which players it joins (numbered row by row).",
)

# %% [markdown]
# ## What the paper leaves open
#
# **An untrained network passes many of the same checks.** That is why every number above stands beside a twin, and why a
# claim counts as reproduced only when training makes the difference. Effects that an untrained network shows as well are
# called *partly* reproduced.
#
# **The choice of mask value matters.** For tic-tac-toe a masked square becomes a blank square, which is a real state of the
# board. The network can not tell "hidden" from "empty". Try `mask_value = 0.5`.

# %% [markdown]
# ## Exercises
#
# **1. By hand** (easy, 5 minutes). Two players: $v(\varnothing) = 1$, $v(\{1\}) = 3$, $v(\{2\}) = 2$, $v(\{1, 2\}) = 7$.
# Compute all four interactions. Check with the cell below.
#
# ```{dropdown} Hint
# Start at the empty group: $I(\varnothing) = v(\varnothing)$. Each larger group is its output minus the interactions
# of all its parts.
# ```
#
# ```{dropdown} Solution
# $I(\varnothing) = 1$, $I(\{1\}) = 2$, $I(\{2\}) = 1$, $I(\{1, 2\}) = 7 - 1 - 2 - 1 = 3$.
# ```

# %%
interactions.reconstruct(
    torch.tensor([0.0, 0.0, 0.0, 0.0])
)  # put your four interactions here: 1, 3, 2, 7 should come out

# %% [markdown]
# **2. A dummy player** (medium, 10 minutes). A player who never changes the output is called a dummy. Show that every
# interaction that holds a dummy is 0.
#
# ```{dropdown} Solution
# In {eq}`eq-harsanyi` pair each $T$ without the dummy with $T$ plus the dummy. Both have the same output and opposite
# signs, so the pair cancels.
# ```

# %% [markdown]
# ## The record
#
# Every claim of the paper, with its number, ours, and the verdict. Claims that no cell judges yet are listed as waiting.

# %%
results.write()
results

# %% [markdown]
# **What was easy.** The theorems: they are exact, and our formulas agree with slow textbook definitions to the last digits.
#
# **What was hard.** To say what *sparse* means for a trained network when an untrained one is already sparse.
#
# **Where we departed from the paper.** No AND–OR split yet; all samples count, not only those of one class; the parts of a
# digit are chosen by a rule, where the authors marked them by hand.
#
# ## Summary
#
# Interactions are another way to write down all masked outputs: exact for any function. The empirical content is in how few
# of them a trained network needs, and that has to be measured beside a network that learned nothing.
#
# Further reading: {cite:t}`ren2024` for the proofs; {cite:t}`harsanyi1963` for the dividends; {cite:t}`grabisch1999` and
# {cite:t}`sundararajan2020` for the two indices.
