# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 01 Symbols
#
# **Reading** 90 minutes · **quick run** 7 minutes on one CPU core, no GPU needed · **memory** 2 GB · **data** none to
# download
#
# A network that names what is in a picture responds to every part of it in its hidden layers: long lists of numbers. Do these
# responses fall into groups? If they do, the groups can be numbered. The number of a response's group is its *symbol*: one
# word in place of a thousand numbers.
#
# Then two questions can be asked. What does a symbol stand for? And do the symbols of a picture say when not to trust the
# network?
#
# ```{admonition} The paper at a glance
# :class: tip
# **Question.** Do hidden layers use symbols, and what can one do with them?
#
# **Method of the paper.** Find the object. Pool each layer's response within its box to 3 × 3 cells. Embed the vectors of the
# cells in three dimensions, and cluster them: the number of a cluster is a symbol.
#
# **Answer of the paper.** Symbols go together with classes, in deep layers more than in shallow ones. They predict the class.
# They are unlikely for the predicted class in three cases: the network errs, the picture is of no known class, or the picture
# was attacked. And new classes can be told apart from a few examples, without training.
#
# **Source.** {cite:t}`lee2024symbols`.
# ```
#
# ```{admonition} What we could not read
# :class: warning
# We could not get the full text of this paper, nor any code of its authors. We had public summaries. They give the steps, some
# numbers, and the claims in words. The numbered formulas of this chapter and most of its settings are *our reading*.
#
# Such settings are marked in the parameter cell below, and near the end other readings are tried. A claim that fails here
# may fail because of our reading.
# ```
#
# After this chapter you can
#
# - pool a network's response in a region, and say what the pooling loses (exercise 2),
# - make a cloud of points without clusters, and use it to test whether real points have any (exercise 3),
# - read from the symbols of a picture its class, and whether to doubt the network's answer (exercises 1 and 4),
# - measure what symbols tell beyond chance, although the cells of a picture are alike (exercise 5),
# - tell an attack from an error, and say what symbols add to the network's own confidence (exercise 6).
#
# You need to know what a [convolution](https://d2l.ai/chapter_convolutional-neural-networks/conv-layer.html) and a
# [probability](https://d2l.ai/chapter_preliminaries/probability.html) are. The [glossary](../glossary.md) has the other terms.

# %% [markdown]
# ## Parameters
#
# The cell below holds every choice of this chapter. Change one here, or from the command line with papermill.

# %% tags=["parameters"]
preset = "quick"  # scale of the run: quick, imagenet, paper
run = "default"  # name of the run within its preset
seed = 0  # first seed, 0 or larger
n_seeds = 3  # seeds of networks, embeddings and clusters, 1 or more
device = "auto"  # auto, cpu, cuda, ...
threads = 1  # CPU threads, 1 or more
data_root = ""  # folder that holds the data sets; embedded data need none
weights = ""  # file with a network's weights
out_dir = "runs"  # folder that takes results.json
progress = "auto"  # progress bars: auto, on, off
dataset = "parts"  # the pictures: parts, or a folder below data_root
unreadable = "refuse"  # files that are no whole pictures: refuse, skip
model = "resnet8"  # the network; any name of timm works
pretrained = False  # fetch timm's weights from its hub
shipped = True  # take the networks of parts that come with the book
size = 48  # pixels, side of the pictures of a network that does not say its own
trained_on = 5000  # pictures that a network is trained on here, at most
epochs = 5  # passes in which a network is trained here
learning_rate = 0.1  # at the start; it ends at a tenth
train_batch = 32  # pictures of a step of training
stages = "auto"  # stages that are looked at, or auto: up to four
fitted = 256  # pictures that symbols are built from, at most
unseen = 640  # other pictures of the same classes, at most
outside = "auto"  # sets of other classes: auto, none, folders below data_root
beyond_known = 160  # pictures of each of these, at most
new = "auto"  # classes of temporary learning: auto, own (held out), none, an outside set
regions = "oracle"  # our reading: oracle, full, center, felzenszwalb, detector
center_share = 0.7  # side of the centre box, share of the picture's
segment_scale = 100.0  # scale of Felzenszwalb's segments
segment_rule = "salient"  # which segment is the region: salient, largest
detector = "IDEA-Research/grounding-dino-tiny"  # its name on the hub of transformers, or a folder
box_threshold = 0.35  # our reading: least score of a detector's box
text_threshold = 0.25  # our reading: least score of a word for it
segmenter = "none"  # our reading: SAM about a detector's box: none, a name on the hub, a folder
kept = "all"  # our reading: pictures that symbols are made from and read on: all, certified
margin = 0.0  # our reading: surroundings in the second look, share of each side
pad = False  # our reading: keep the region's proportions in the second look
pooling = "max"  # our reading: max, mean
joined = False  # our reading: one vector for all nine cells
neighbors = 15  # our reading: neighbours of UMAP
min_dist = 0.1  # our reading: least distance in its embedding
metric = "euclidean"  # our reading: distance of UMAP: euclidean, cosine
layout_steps = 200  # our reading: passes of its layout
most = 1000  # symbols of a stage, at most; the paper's
backend = "innercodes"  # who does X-means: innercodes, pyclustering
map_from = "label and prediction agree"  # our reading: or label
permutations = 199  # permutations behind a chance level
shot_draws = 20  # draws of the examples of new classes
attack_size = 0.03137254901960784  # our reading: 8/255, half-width of its box
attack_steps = 20  # our reading: steps of the attack
attack_step = 0.1  # our reading: length of a step, share of the half-width
attack_samples = 64  # unseen pictures that are attacked
evasion_weights = "0 1 10 100"  # of the symbols in the attack on them
replaced = 60  # pictures of the causal test; 0: leave it out
universes = 9  # embeddings of other choices that are tried; 0: none
beyond = "vit48"  # other architectures, or none
beyond_weights = ""  # file with the weights of that architecture
retrained = "resnet8"  # network that is watched while it learns, or none
retrained_epochs = 5  # passes in which it is trained here
domain = "tictactoe"  # another domain: tictactoe, breast_cancer, wine, docstrings, sst2, none
domain_samples = 700  # its samples that symbols are built from, at most
bootstrap = 2000  # resamples behind an interval
show_examples = True  # draw pictures (only of embedded data)

# %%
from innercodes import parameters

settings = parameters.check("01_symbols", globals())
settings

# %%
import pandas as pd
import torch
from innercodes import (
    claims,
    parts,
    plots,
    symbol_checks,
    symbol_figures,
    symbol_meaning,
    symbol_networks,
    symbol_reach,
    symbol_studies,
    symbol_survey,
    symbol_trials,
    symbol_views,
    symbol_warnings,
    symbols,
    twins,
    xmeans,
)
from innercodes import regions as places
from innercodes.symbol_words import by_group, listed, pick
from IPython.display import HTML, Markdown, display

plots.style()
results = claims.Results(settings)
results.metrics["endpoints"] = {}
untested = symbol_networks.elsewhere(settings)


def take(claim, endpoint):
    # Of SYM-21 no two runs have the same seconds.
    if not isinstance(endpoint, str) and claim != "SYM-21":
        kept = {name: endpoint.get(name) for name in ("value", "ci")}
        results.metrics["endpoints"][claim] = kept
    return results.take(claim, untested.get(claim, endpoint))


def keep(name, table):
    results.metrics[name] = table.to_dict("list")
    return table


# %% [markdown]
# ## Nine cells, by hand
#
# Before any network comes in, we go through the method by hand. Our pictures show an object made of three parts, on a piece
# of a photograph. The *class* of a picture is the combination of parts.
#
# We know the *box* around the object. Cut it into 3 × 3 *cells*. The simplest thing to say about a cell is its mean colour,
# three numbers. So a picture gives nine *vectors* of three numbers.
#
# Now choose six colours and number them. Each cell gets the number of the colour that is nearest to its own: its *symbol*.
#
# Then count in other pictures how often each symbol occurs with each class. This table is the *correlation map*. Its row for
# a symbol says which classes the symbol speaks for. To name the class of a picture, take the mean of the rows of its nine
# symbols, and choose the class where it is largest.

# %%
example = parts.load("train", 400, seed, 48)
x, y = example.pictures.tensors()
pooled = places.roi_pool(x, example.boxes, 48, how="mean")  # (400, 3, 3, 3)
vectors = places.cells(pooled)  # (400, 9, 3): the colour of each cell

# %%
six = torch.tensor(list(parts.COLOURS.values()))
read = xmeans.assign(vectors.flatten(0, 1), six).view(-1, 9)
counted = symbols.correlation_map(read[1:], y[1:], 6, 16)
read[0].tolist(), int(symbols.predict(read[:1], counted)), int(y[0])

# %% tags=["hide-input"]
if show_examples:
    plots.show(
        symbol_views.pipeline(
            x[0],
            example.boxes[0],
            vectors[0],
            read[0],
            counted.given_symbol[read[0]],
            example.pictures.classes,
        ),
        name="by-hand",
        alt="A picture of an object with its box cut into nine cells; beside it the nine vectors, three numbers each; their symbols, "
        + ", ".join(map(str, read[0].tolist()))
        + "; and for each the row of the map, with their mean below.",
        caption="One picture by hand: box and cells, the colour of each cell, its symbol, and that symbol's row of the map. "
        f"Its class is {int(y[0])}; the mean of the rows is largest at class {int(symbols.predict(read[:1], counted))}; "
        f"{parts.scenes.CREDIT}.",
    )

# %% [markdown]
# Follow one cell through the figure: its colour, its symbol, its row of the map. The cell of code above the figure gave three
# results: the nine symbols, the class that they name, and the true class.
#
# Six colours tell little: parts share colours, and the background has some of them too. The paper takes the same steps with a
# network's responses in place of colours. And it lets the data decide how many symbols there are.
#
# ## Pictures, regions and networks
#
# At the quick scale the pictures are `parts`: 16 known classes, each a combination of three of twelve parts. The parts share
# shapes, patterns and colours, so that no shape, pattern or colour alone names the class. Position, size, rotation, light and
# background (the *ground*) vary.
#
# There are two kinds of *outside* pictures, which show none of the known classes: new combinations of the known parts, and
# parts that are new. For every picture we know what each cell shows. The paper has no such ground truth.
#
# The network is a small ResNet {cite:p}`he2016`, trained with three seeds. The trained networks come with the book. Symbols
# are built from some *fitted* pictures. Everything is measured on *unseen* ones, which took no part in building the symbols
# or the map.
#
# Each trained network has an *untrained twin*: the same start, and no training. In most tests the twin lends only its
# symbols. The predictions, and the choice of pictures that build the map, stay those of the trained network.

# %%
everything = symbol_networks.show(settings)
networks = symbol_networks.build(settings, everything)
material = symbol_networks.kept(settings, networks, everything)
names, _ = twins.chosen_stages(networks["trained"][0], stages)
shown = material.unseen.pictures
results.metrics["unreadable"] = material.left_out
drawable = show_examples and shown.embedded
{
    "fitted": len(material.fitted.labels),
    "unseen": len(shown),
    **{name: len(one.labels) for name, one in material.outside.items()},
    "stages": names,
}

# %% [markdown]
# From here on the steps are those of the paper. A *stage* is a block of layers. Each stage's response to the *whole* picture
# is pooled within the box to 3 × 3 cells, here by the maximum of each channel.
#
# UMAP {cite:p}`mcinnes2018` embeds the vectors of a stage in three dimensions, so that neighbours stay neighbours. X-means
# {cite:p}`pelleg2000` clusters the points, and finds the number of clusters itself: it splits a cluster where the *Bayesian
# information criterion* prefers two. A new vector gets the symbol of the nearest centre.
#
# The correlation map counts how often symbol $s$ occurs with class $c$: this is $N_{sc}$. It counts over the fitted pictures
# that the network classifies correctly. The map is read in two ways:
#
# $$ P(c \mid s) = \frac{N_{sc}}{\sum_{c'} N_{sc'}}, \qquad P(s \mid c) = \frac{N_{sc}}{\sum_{s'} N_{s'c}} $$ (eq-map)
#
# The first says which classes a symbol speaks for, the second which symbols to expect for a class. One call does all of it,
# for every network, stage and set of pictures.

# %%
survey = symbol_survey.survey(
    settings, networks, material.fitted, material.unseen, names, material.outside, material.new
)  # fmt: skip
accuracies = {
    kind: [
        float((survey.heard(kind, row, "unseen").logits.argmax(-1) == survey.labels).double().mean())
        for row in survey.rows
    ]
    for kind in symbol_survey.BOTH
}  # fmt: skip
results.metrics["stages"], results.metrics["accuracy"] = names, accuracies
pd.DataFrame(accuracies, index=settings.seeds).T.round(3)

# %% [markdown]
# ## A second look at the region
#
# A *region* is a box that should hold the object. How do you know that it does? The paper asks the network itself. The
# network classifies the picture. Then the region is cut out and enlarged, and the network classifies that. The region is kept
# if both answers agree (*second-thought certification*, {cite:p}`lee2023stcert`).
#
# Any rule that throws away pictures the network is unsure of raises accuracy. So two other rules stand beside the second
# look. One keeps as many pictures as the second look does: those with the highest softmax. The other takes its second look at
# a random place of the same size.
#
# (One seed was looked at while this was developed, in an earlier state of the chapter. With the known box, 0.627 of the
# pictures were kept, and the network was right on 0.925 of these, against 0.90 of all. With a margin of 0.2 around the box,
# 0.854 were kept, and it was right on 0.936 of these. The default margin stayed 0. Today's networks gain less.)

# %%
looks = symbol_survey.second_looks(survey, networks, margin, pad, everything.unseen)
take("SYM-1", symbol_warnings.second_look(survey, looks))

# %% tags=["hide-input"]
covered = keep("coverage", symbol_studies.coverage(looks))
plots.show(
    symbol_figures.coverage(covered),
    name="coverage",
    alt="Accuracy on the kept pictures against the share kept. "
    + listed(
        covered[covered["reader"] != "max-softmax"], "accuracy", ("kind", "reader")
    )
    + ". Shares: "
    + listed(
        covered[covered["reader"] != "max-softmax"], "coverage", ("kind", "reader")
    )
    + ".",
    caption="What a second look gains, beside keeping the most confident pictures (line) and a second look at a random place "
    f"({dataset}, {model}, means over seeds).",
)

# %% tags=["hide-input"]
rates = keep(
    "keep rates",
    symbol_studies.keep_rates(looks, everything.unseen.labels, shown.names),
)
ends = rates[rates["kind"] == "trained"].sort_values("value")
plots.show(
    symbol_figures.keep_rates(rates),
    name="keep-rates",
    alt="Share of each class's pictures whose region keeps its class, trained and untrained. "
    + listed(rates, "value", ("kind", "name"), 80) + ".",
    caption="How many pictures of each class the second look keeps: from "
    f"{ends['value'].iloc[0]:.2f} ({ends['name'].iloc[0]}) to {ends['value'].iloc[-1]:.2f} ({ends['name'].iloc[-1]}) "
    "in the trained networks; 95 % intervals over pictures, means over seeds.",
)  # fmt: skip

# %% tags=["hide-input"]
if drawable:
    looked_at = everything.unseen
    inputs = looked_at.pictures.tensors()[0]
    certified = places.certify(
        networks["trained"][0], inputs.to(settings.device), looked_at.boxes.to(settings.device), margin, pad=pad
    )  # fmt: skip
    certified = places.Certified(
        *(
            part.cpu()
            for part in (certified.predictions, certified.second, certified.kept)
        )
    )
    plots.show(
        symbol_views.second_looks(looked_at.pictures, looked_at.boxes, certified, margin=margin, pad=pad, seed=seed),
        name="second-looks",
        alt="Eight pictures with their box, and below each what is inside of the box, enlarged. Four are kept: both predictions are the "
        "same. Four are rejected: they differ.",
        caption="Regions that the second look keeps and rejects; above and below the two predictions, by the number of the class (first seed); "
        f"{parts.scenes.CREDIT}.",
    )  # fmt: skip

# %% tags=["hide-input"]
own = {"kind": "trained", "reader": "region keeps class"}
as_many = max(
    1,
    round(len(everything.unseen.labels) * float(pick(covered, "coverage", **own))),
)
surest = [
    float(
        one.right[symbol_warnings.surest(one.confidence, as_many)].double().mean()
    )
    for one in looks["trained"]
]
Markdown(
    f"In this run the second look keeps a share of {pick(covered, 'coverage', **own)} of the pictures, and the network is right "
    f"on {pick(covered, 'accuracy', **own)} of these; on all it is right on {pick(covered, 'accuracy', kind='trained', reader='max-softmax', coverage=1.0)}. "
    f"On as many pictures with the highest softmax it is right on {sum(surest) / len(surest):.3g}."
)

# %% [markdown]
# Go back to the figure of accuracy and share kept. The line is the network's own confidence, which is free. A dot above the
# line means that the second look chooses better pictures than this confidence does at the same share. A dot below the line
# means that it chooses worse ones.
#
# In the paper a picture whose region fails is discarded. Here symbols are built from all pictures and read on all, unless
# the parameter `kept` is set to `certified`. Then a picture stays where every trained network of the run keeps its region.
# Near the end this is one of the other readings.
#
# ### Where regions come from
#
# The paper asks an open-set detector, which finds an object by its name, for the object of the predicted class. Our quick run
# knows the box. Three other sources are compared with it: a box in the middle, the most salient segment of the picture
# {cite:p}`felzenszwalb2004`, and the whole picture.
#
# Two more are controls: a background box, which overlaps the object least, and a box at a random place. Only the place
# changes: embedding, clusters and map stay those built from the run's own regions.

# %%
compared = keep(
    "sources",
    symbol_trials.sources(
        survey, networks, symbol_networks.source_choices(settings, material),
        material.known.boxes if material.known else None, rows=1, margin=margin, pad=pad,
    ),
)  # fmt: skip

# %% tags=["hide-input"]
plots.show(
    symbol_figures.sources(compared),
    name="sources",
    alt="Four numbers for each source of regions. Accuracy from symbols: "
    + listed(compared, "symbol_accuracy", ("source",))
    + ". Share kept: "
    + listed(compared, "coverage", ("source",))
    + ".",
    caption="Sources of regions: overlap with the true box, share that a second look keeps, the network's accuracy on these, and "
    "accuracy from last-stage symbols with its 95 % interval (first seed).",
)

# %% [markdown]
# Compare each source with the known box. The overlap says how well it finds the object, the last number what its symbols are
# worth. The background box shows what is left nearly without the object. The random place still covers a good part of it, and
# shows what is left without aim.
#
# ## Are there clusters?
#
# Clustering finds clusters in anything. UMAP makes it worse: it pulls apart even what is one cloud. So each stage is compared
# with a *surrogate*: points from the Gaussian with the same mean and covariance, sent through the same steps.
#
# The *silhouette* of a point compares its distance to its own cluster with that to the next cluster. Near 1 the clusters are
# far apart; at 0 the point is on the border.
#
# If the clusters are real, another seed should find them again. The *adjusted Rand index* compares two clusterings: 1 means
# the same, 0 means as alike as chance makes them.

# %%
noise = {
    kind: symbol_survey.surrogates(survey, kind) for kind in symbol_survey.BOTH
}
again = {
    "trained": symbol_survey.reseeded(survey, "trained", survey.stages),
    "untrained": symbol_survey.reseeded(survey, "untrained", survey.stages[-1:]),
}
take("SYM-2", symbol_meaning.clusters(survey, noise, again["trained"]))

# %% tags=["hide-input"]
found = keep("clusters", symbol_studies.clusters(survey, noise))
plots.show(
    symbol_figures.clusters(found),
    name="clusters",
    alt="Number of symbols and silhouette by stage, trained, untrained and surrogates. Numbers: "
    + listed(found, "count", ("kind", "stage", "seed"))
    + ". Silhouettes: "
    + listed(found, "silhouette", ("kind", "stage", "seed"))
    + ".",
    caption="Number of symbols that X-means finds, and how well apart they are; thin: Gaussian surrogates "
    f"({dataset}, {model}, {len(settings.seeds)} seeds).",
)

# %% tags=["hide-input"]
Markdown(
    "In this run X-means finds "
    + ", ".join(
        f"{pick(found, 'count', kind='trained', stage=stage)} symbols at {stage} "
        f"({pick(found, 'surrogate_count', kind='trained', stage=stage)} in the surrogate)"
        for stage in survey.stages
    )
    + ", means over seeds."
)

# %% tags=["hide-input"]
codes = survey.codes["trained"][0]
true_parts = None
if material.known:
    true_parts = parts.part_at(material.known.masks, material.unseen.boxes).flatten(
        1
    )
plots.show(
    symbol_views.embedding(
        {stage: code.points["unseen"] for stage, code in codes.items()},
        {stage: code.symbols["unseen"] for stage, code in codes.items()},
        survey.labels,
        shown.names,
        None if joined else true_parts,
        ("ground", *(part.name for part in parts.PARTS)),
        seed=seed,
    ),
    name="embedding",
    alt="The three-dimensional embedding of each stage, to turn, coloured by symbol, class or true part. Symbols by stage: "
    + ", ".join(f"{stage} {code.count}" for stage, code in codes.items())
    + ".",
    caption="Cells of unseen pictures in the embedding of each stage. Choose a stage and a colouring, and turn it (first seed).",
)

# %% [markdown]
# You can turn the figure. Look at the last stage, coloured by class, and then at the first stage. Coloured by symbol, both
# look orderly. Coloured by class, or by true part, you see how much of this order comes from the object.
#
# ### The same symbols again?
#
# Another seed of UMAP and X-means numbers the symbols in another way, but the same cells should stay together. They should
# also stay together when the network is trained again from another start. Otherwise symbols are an accident of one training.

# %%
last_seeds = {
    kind: [one["unseen"] for one in rows[survey.last]]
    for kind, rows in again.items()
}
course = symbol_networks.courses(settings, material)
grown = None
if not isinstance(course, str):
    grown, mixed = symbol_networks.course_symbols(
        settings, course, material, survey
    )
apart = symbol_networks.retrained_symbols(survey, grown)
take("SYM-16", symbol_meaning.stable(settings, last_seeds, apart))

# %% tags=["hide-input"]
pairs = keep("stability", symbol_studies.stability(survey, again))
if len(pairs):
    plots.show(
        symbol_figures.stability(pairs, 0.6),
        name="stability",
        alt="Adjusted Rand index of pairs of codings by stage. "
        + listed(pairs.groupby(["kind", "between", "stage"], sort=False, as_index=False)["value"].mean(), "value",
                 ("kind", "between", "stage")) + ".",
        caption="How alike symbols of the same pictures are between seeds of embedding and clustering, and between networks "
        "trained apart. A dot for each pair, a bar at the mean.",
    )  # fmt: skip

# %% tags=["hide-input"]
Markdown(
    "At the last stage of the trained networks the index is "
    f"{pick(pairs, 'value', kind='trained', between='seeds', stage=survey.last)} between seeds and "
    f"{pick(pairs, 'value', kind='trained', between='networks', stage=survey.last)} between networks."
)

# %% [markdown]
# ### How many symbols?
#
# X-means chooses the number of symbols by itself. To see what this number does, we replace X-means by k-means in the same
# embedding, with 10 to 1000 symbols. The best number is chosen on one half of the unseen pictures and tested on the other
# half.

# %%
take("SYM-14", symbol_meaning.number_of_symbols(survey))

# %% tags=["hide-input"]
numbers = keep("counts", symbol_studies.counts(survey))
plots.show(
    symbol_figures.counts(numbers),
    name="counts",
    alt="Accuracy from last-stage symbols against their number. "
    + listed(numbers, "accuracy", ("kind", "count")) + ".",
    caption="Accuracy from last-stage symbols with k-means at each number of them; band: 95 % intervals over pictures.",
)  # fmt: skip

# %% [markdown]
# Where the line is flat, the number of symbols matters little.
#
# ## What do symbols mean?
#
# *Mutual information* is how many bits the symbol tells about the class. Its *adjusted* form (AMI) is 0 where symbols know
# nothing, whatever their number, and 1 where symbols and classes are the same grouping.
#
# One trap: AMI takes cells as independent, and the nine cells of a picture are not. Exchange the classes of whole pictures,
# and the AMI is still above 0. So values are compared with such permutations. In the figure below they are corrected once
# more: 0 is what permuted pictures give.
#
# Besides the class, we ask what symbols tell about low-level factors: here the colour and the texture of what a cell shows.

# %%
take("SYM-3", symbol_meaning.class_meaning(survey, permutations=permutations))

# %%
cells = survey.codes["trained"][0][survey.last].symbols["unseen"].shape[1]
factors = symbol_networks.low_level(material.unseen, material.known, cells)
take("SYM-13", symbol_meaning.low_level_first(survey, factors))

# %% tags=["hide-input"]
truths = {"class": survey.labels, **factors}
if material.known:
    truths["ground"] = material.known.factors["texture"]
    if cells > 1:
        truths["part"] = true_parts
        truths["shape"] = torch.where(true_parts > 0, parts.SHAPE_OF[true_parts], len(parts.SHAPES))  # fmt: skip
told = keep("meaning", symbol_studies.meaning(survey, truths))
plots.show(
    symbol_figures.meaning(told),
    name="meaning",
    alt="Adjusted mutual information of symbols with what cells show, by stage. "
    + listed(told, "value", ("kind", "truth", "stage")) + ".",
    caption="What symbols tell: adjusted mutual information with the class and with known factors, 0 at what permuted "
    "pictures give (means over seeds, 95 % intervals).",
)  # fmt: skip

# %% tags=["hide-input"]
Markdown(
    "From the first stage to the last, in the trained networks: "
    + "; ".join(
        f"{name} {pick(told, 'value', kind='trained', truth=name, stage=survey.first)} to "
        f"{pick(told, 'value', kind='trained', truth=name, stage=survey.last)}"
        for name in truths
    )
    + ". In the untrained ones: "
    + "; ".join(
        f"{name} {pick(told, 'value', kind='untrained', truth=name, stage=survey.first)} to "
        f"{pick(told, 'value', kind='untrained', truth=name, stage=survey.last)}"
        for name in truths
    )
    + "."
)

# %% tags=["hide-input"]
if material.known and cells > 1:
    matched = pd.DataFrame(
        {
            (kind, stage): vars(
                symbol_checks.part_match(survey.codes[kind][0][stage].symbols["unseen"], true_parts, permutations)
            )
            for kind in symbol_survey.BOTH
            for stage in survey.stages
        }
    ).T  # fmt: skip
    results.metrics["part match"] = {
        " ".join(key): row for key, row in matched.T.to_dict().items()
    }
    display(matched.round(3))

# %% [markdown]
# In the figure, look for lines that rise from the first stage to the last. Then ask whether they rise in the untrained
# networks too.
#
# The table is about the true parts alone, for the first seed. It has the AMI and its chance level. Then comes *purity*, the
# share of cells that show the most common part of their symbol, and its chance level. A large purity alone says little, since
# most cells of a box show one of a few things.
#
# ### Do you see it?
#
# The paper says that symbols are abstract: nobody promised that a person can name them. Here are regions of the most frequent
# symbols.

# %%
take("SYM-11", "")

# %% tags=["hide-input"]
if drawable:
    for stage in (survey.first, survey.last):
        plots.show(
            symbol_views.montage(
                shown,
                material.unseen.boxes,
                codes[stage].symbols["unseen"],
                survey.labels if true_parts is None or cells == 1 else true_parts,
                shown.names if true_parts is None or cells == 1 else ("ground", *(part.name for part in parts.PARTS)),
                seed=seed,
            ),
            name="montage-first" if stage == survey.first else "montage-last",
            alt=f"Rows of regions with one cell outlined, a row for each of the six most frequent symbols of {stage}, with the "
            "commonest true part of its cells and its share.",
            caption=f"Regions of the most frequent symbols of {stage}; the cell that has the symbol is outlined (first seed); "
            f"{parts.scenes.CREDIT}.",
        )  # fmt: skip

# %% tags=["hide-input"]
purity = pd.DataFrame(
    {
        kind: {
            stage: float(symbols.symbol_purity(code.symbols["unseen"], survey.labels, code.count).nanmean())
            for stage, code in survey.codes[kind][0].items()
        }
        for kind in symbol_survey.BOTH
    }
    | {
        "random symbols": {
            stage: float(
                symbols.symbol_purity(symbols.random_symbols(code.symbols["unseen"], seed), survey.labels, code.count).nanmean()
            )
            for stage, code in codes.items()
        }
    }
)  # fmt: skip
results.metrics["class purity"] = purity.to_dict()
purity.round(3)

# %% [markdown]
# The table has the mean *class purity* of the symbols, by stage: which share of a symbol's cells comes from its most frequent
# class? It has three columns: the trained network, the untrained one, and random symbols that are as frequent as those of the
# trained one.
#
# ### The class from symbols
#
# Each of the nine symbols has a row of the map, its $P(c \mid s)$ of {eq}`eq-map`. Take the mean of the nine rows, and name
# the class where it is largest:
#
# $$ \hat c = \arg\max_c \frac19 \sum_{j=1}^9 P(c \mid s_j) $$ (eq-predict)

# %%
take("SYM-4", symbol_meaning.class_prediction(survey))

# %% tags=["hide-input"]
named = keep("prediction", symbol_studies.prediction(survey))
plots.show(
    symbol_figures.prediction(named),
    name="prediction",
    alt="Accuracy by stage of the class read from symbols and from controls. "
    + listed(named, "value", ("kind", "reader", "stage")) + ".",
    caption="Accuracy of the class from symbols, beside k-means at the same number, PCA in the place of UMAP, random symbols, "
    "permuted labels, the nearest class mean of the vectors, and the network itself (line).",
)  # fmt: skip

# %% tags=["hide-input"]
plots.show(
    symbol_views.correlation_maps(
        {stage: code.correlations for stage, code in codes.items()}, shown.classes
    ),
    name="maps",
    alt="Correlation maps of the stages as heat maps, a row for each symbol, sorted by its most frequent class. Mean largest P(class | symbol): "
    + ", ".join(f"{stage} {float(code.correlations.given_symbol.amax(1).mean()):.2f}" for stage, code in codes.items()) + ".",
    caption="Correlation maps: which classes a symbol speaks for, at each stage (trained, first seed).",
)  # fmt: skip

# %% tags=["hide-input"]
end = {"kind": "trained", "stage": survey.last}
Markdown(
    f"At the last stage: symbols {pick(named, 'value', reader='symbols', **end)}, nearest class mean "
    f"{pick(named, 'value', reader='nearest mean', **end)}, PCA in the place of UMAP {pick(named, 'value', reader='PCA', **end)}; "
    f"the network itself {pick(named, 'value', reader='network', kind='trained')}, chance {1 / survey.classes:.3g}."
)

# %% [markdown]
# In the correlation maps, look for rows with a single strong entry: symbols that speak for one class.
#
# In the figure of accuracy before them, look at the nearest class mean. It reads the same vectors without any symbols. The
# gap between it and the symbols is the price of one word in place of many numbers.
#
# ### Why nine cells, and why there?
#
# Nine cells of the region are compared with two other ways to pool: the whole region as one cell, and 3 × 3 cells of the
# whole picture. The claim asks that nine cells of the region beat both.

# %%
elsewhere = symbol_survey.poolings(survey, networks)
sides = tuple(shown[0][0].shape[-2:])
take("SYM-15", symbol_meaning.region_pooling(survey, elsewhere, sides))

# %% [markdown]
# ## Do symbols know when to doubt?
#
# If the network says class $c$, are these symbols likely for $c$? The *expected symbol score* is
#
# $$ \mathrm{ESS} = \frac19 \sum_{j=1}^9 P(s_j \mid \hat y) $$ (eq-ess)
#
# where $\hat y$ is the class that the network predicts. The score should be low where the network is wrong, where the picture
# shows none of the known classes, and where it was attacked. The *AUROC* is the chance that a picture of the good kind
# (right, familiar, clean) scores higher than one of the other kind (wrong, outside, attacked). 0.5 knows nothing.
#
# Three scores that need no symbols stand beside it. *Max-softmax* is the largest softmax probability. *Energy* is the
# logarithm of the sum of $e^{\mathrm{logit}}$ over all classes. *Mahalanobis* is minus the squared distance of the last
# stage's response to the nearest class mean, measured in units of the spread within classes. It is not asked about attacks
# here. Chapter 05 asks it, and in its quick run it tells them best of all scores.
#
# **Right or wrong.**

# %%
take("SYM-5", symbol_warnings.correctness(survey))

# %% [markdown]
# **Familiar or not.** There are two outside sets. The one that is harder to tell from familiar pictures counts.

# %%
take("SYM-6", symbol_warnings.familiarity(survey))

# %% [markdown]
# The paper says that the stages of a network are *synchronised* on familiar pictures. So let each stage name a class by its
# symbols, and take the share of pairs of stages that agree (*agreement* in the figures below).

# %%
take("SYM-12", symbol_warnings.synchrony(survey))

# %% [markdown]
# **Attacked or not.** An attack changes every pixel by a little, until the network errs {cite:p}`madry2018`. The network's
# error alone already lowers the score. So the test asks for more: the score must tell attacked pictures from clean ones
# better than it tells the network's own errors from right answers.
#
# And an attacker who knows the score can attack it too. The second attack also raises the symbol score of its wrong answer.
# For this, symbols are made soft, so that the score has a gradient. Several weights of the score in the attack are tried, and
# the attacker takes the weight above 0 that works best for him. (At 0 it is the attack from before. The table asks half of
# the attacked pictures, so its numbers differ a little from those of the claim.)

# %%
hit_rows = shown.spread(attack_samples)
weighed = [float(word) for word in evasion_weights.split()]
evaded = keep(
    "evasions",
    symbol_trials.evasions(survey, networks, weighed, hit_rows[: max(4, attack_samples // 2)]),
)  # fmt: skip
weight = symbol_networks.strongest_weight(evaded)
evaded.round(3)

# %%
source = None
if regions in ("felzenszwalb", "detector"):  # the others do not look at pictures
    source = symbol_networks.region_source(settings, shown.names)
attacks = symbol_survey.attack(survey, networks, hit_rows, source, weight=weight)
take("SYM-7", symbol_warnings.adversarial(survey, attacks))

# %% tags=["hide-input"]
if evaded["auroc"].notna().any():
    plots.show(
        symbol_figures.evasions(evaded),
        name="evasions",
        alt="Success of the attack on symbols and the AUROC that is left, against its weight. AUROC: "
        + listed(evaded, "auroc", ("weight",)) + ". Success: " + listed(evaded, "success", ("weight",)) + ".",
        caption="An attack that also raises the score of its wrong answer, at several weights: how often it succeeds, and how well "
        "the score still tells it from clean pictures.",
    )  # fmt: skip

# %% [markdown]
# **Do the earlier stages still see the true class?** Here the class is read from the symbols of all stages but the last, on
# attacked pictures:

# %%
take("SYM-8", symbol_warnings.shallow_symbols(survey, attacks))

# %% tags=["hide-input"]
hit = keep("under attack", symbol_studies.under_attack(survey, attacks))
plots.show(
    symbol_figures.under_attack(hit),
    name="under-attack",
    alt="Accuracy of the class from the symbols of each stage and of the network, on clean and on attacked pictures. "
    + listed(hit, "value", ("variant", "reader")) + ".",
    caption="Accuracy of the class from each stage's symbols, of all stages but the last together, and of the network itself, on "
    f"the same {len(hit_rows)} pictures, clean and attacked (means over seeds, 95 % intervals over pictures).",
)  # fmt: skip

# %% tags=["hide-input"]
warned = keep("aurocs", symbol_studies.aurocs(survey, attacks))
few_errors = symbol_warnings.errors(survey)
ours = warned[
    warned["reader"].isin(
        ["ESS", "agreement", "max-softmax", "energy", "Mahalanobis"]
    )
    & ((warned["kind"] == "trained") | (warned["reader"] == "ESS"))
]
plots.show(
    symbol_figures.aurocs(ours),
    name="aurocs",
    alt="AUROC of each score for each question, by stage. "
    + listed(ours, "value", ("question", "reader", "kind", "stage"), 60) + ".",
    caption="How well scores tell right from wrong, familiar from outside, clean from attacked and from noise of the same size. Dots: "
    "the expected symbol score (ESS) by stage; lines: scores without a stage. 95 % intervals over pictures.",
)  # fmt: skip

# %% tags=["hide-input"]
if few_errors < symbol_warnings.FEWEST_ERRORS:
    display(
        Markdown(
            f"A network of this run makes {few_errors} errors. Below {symbol_warnings.FEWEST_ERRORS} nothing is "
            "asked about errors: their panel is left out, here and among the other readings, and SYM-7 is not compared with them."
        )
    )

# %% tags=["hide-input"]
densities = symbol_studies.scores(survey, attacks)
trained_only = densities[densities["kind"] == "trained"]
middle = keep(
    "median scores", by_group(densities, "score", ("kind", "stage", "group"))
)
plots.show(
    symbol_figures.scores(trained_only),
    name="scores",
    alt="Densities of the expected symbol score by stage for right and wrong predictions, outside pictures and attacks. Medians: "
    + listed(middle[middle["kind"] == "trained"], "score", ("stage", "group")) + ".",
    caption="The expected symbol score of unseen pictures on which the network is right or wrong, of outside pictures and of "
    f"successful attacks (trained networks, all seeds). Groups below {symbol_figures.FEWEST} pictures are counted, not drawn.",
)  # fmt: skip

# %% tags=["hide-input"]
by_reader = warned[
    (warned["kind"] == "trained")
    & ((warned["stage"] == survey.last) | warned["stage"].isna())
]
by_reader.pivot(index="reader", columns="question", values="value").round(3)

# %% [markdown]
# The table has the AUROCs of the last stage, and of scores without a stage. *ESS log* is the mean of
# $\log P(s_j \mid \hat y)$ in the place of {eq}`eq-ess`: one unlikely symbol then counts for more.

# %% tags=["hide-input"]
last = {"reader": "ESS", "kind": "trained", "stage": survey.last}
Markdown(
    "At the last stage, AUROC of the symbol score and of max-softmax: "
    + "; ".join(
        f"{question} {pick(warned, 'value', question=question, **last)} and "
        f"{pick(warned, 'value', question=question, reader='max-softmax')}"
        for question in dict.fromkeys(warned["question"])
    )
    + "."
)

# %% [markdown]
# Go back to the figure of AUROCs, and compare the dots with the lines. The lines cost almost nothing: they need only the
# network's output, or the response of its last stage. A symbol score is worth its price where its dots lie above the lines.
# (The panel of attacks lacks the strongest rival, Mahalanobis: see chapter 05.)
#
# Then look at the open dots: the same score with the twin's symbols. Where they are as high as the filled ones, training has
# nothing to do with it.
#
# ## New classes from a few examples
#
# *Temporary learning*: take five pictures of each of five new classes, and count their symbols in a map of their own. Then
# ask this map for the class of other pictures. Nothing is trained.
#
# Beside it stands a rival that needs no network at all: the nearest mean of the *pixels* of the same examples. At the quick
# scale the new classes are made of parts that the network has never seen.

# %%
fresh = survey if "new" in survey.sets else symbol_networks.held_out(survey)
if new == "none":
    fresh = (
        "This run has no pictures of classes that the symbols were not built from."
    )
take(
    "SYM-9",
    fresh if isinstance(fresh, str) else symbol_reach.temporary_learning(fresh, draws=shot_draws),
)  # fmt: skip

# %% tags=["hide-input"]
if not isinstance(fresh, str):
    few = keep("shots", symbol_studies.shots(fresh, draws=shot_draws))
    plots.show(
        symbol_figures.shots(few),
        name="shots",
        alt="Accuracy on five new classes against the number of examples. "
        + listed(few, "value", ("reader", "shots")) + ".",
        caption="Temporary learning: accuracy on five new classes from a few examples of each, at the last stage "
        "(95 % intervals over pictures).",
    )  # fmt: skip

# %% [markdown]
# The symbols vote as in {eq}`eq-predict`, with a map ({eq}`eq-map`) of the few examples only. The line "responses, nearest
# mean" is an upper mark. It has the same examples and the same network, but keeps all numbers of the vectors in place of one
# word for each.
#
# ## Other architectures, training, other domains
#
# A small transformer {cite:p}`xiao2021` looks at the same pictures and boxes, and has untrained twins of its own. Does what
# holds for the ResNet hold for it? And do the symbols of both networks keep the same share of what the network knows, that
# is, of its own accuracy?

# %%
surveys = {model: survey} | symbol_networks.other_surveys(settings, survey)
take("SYM-10", symbol_reach.architectures(surveys))

# %%
take("SYM-20", symbol_reach.kept_knowledge(surveys))

# %% [markdown]
# Here symbols are read after each pass of training, from the start on. Beside them stands a network that learned shuffled
# labels for as long.

# %%
take(
    "SYM-18",
    course if grown is None
    else symbol_reach.growth(settings, course.epochs, grown, mixed, survey.labels),
)  # fmt: skip

# %% tags=["hide-input"]
if grown is not None:
    growing = keep(
        "growth", symbol_studies.growth(settings, course.epochs, grown, mixed, survey.labels)
    )  # fmt: skip
    plots.show(
        symbol_figures.growth(growing),
        name="growth",
        alt="Adjusted mutual information of last-stage symbols and class after each pass. "
        + listed(growing, "value", ("kind", "seed", "epoch")) + ".",
        caption="What last-stage symbols tell about the class while the network learns, and after learning shuffled labels.",
    )  # fmt: skip

# %% [markdown]
# The other domain is boards of tic-tac-toe, with an MLP that says whether x has won. A board has no region. It gives one
# vector, that of the last hidden layer, and so one symbol.

# %%
boards = symbol_networks.other_domain(settings)
if not isinstance(boards, str):
    results.metrics["domain accuracy"] = dict(boards.accuracy)
take(
    "SYM-19",
    boards if isinstance(boards, str)
    else symbol_reach.other_domain(settings, boards.hidden, boards.labels, boards.unseen_labels),
)  # fmt: skip

# %% [markdown]
# Do deeper layers say more in this domain too? Here symbols are made and read at every hidden layer. Of an LSTM this is the
# state after the last word.

# %% tags=["hide-input"]
if not isinstance(boards, str):
    by_layer = keep(
        "domain layers",
        symbol_studies.layers(settings, boards.layers, boards.labels, boards.unseen_labels),
    )  # fmt: skip
    plots.show(
        symbol_figures.prediction(by_layer),
        name="domain-layers",
        alt=f"Accuracy on {domain} from the symbols of each hidden layer, beside the nearest class mean and the largest class. "
        + listed(by_layer, "value", ("kind", "reader", "stage")) + ".",
        caption=f"Another domain, {domain}: accuracy from the one symbol of each sample at every hidden layer, beside the nearest "
        "class mean on what the layer says and the share of the largest class (first seed, 95 % intervals over samples).",
    )  # fmt: skip

# %% [markdown]
# ## What it costs
#
# How many seconds does a picture take, and what share does each step have? The time to fit UMAP and X-means is divided by the
# number of pictures. The time to load pictures is not counted.

# %%
take("SYM-21", symbol_reach.cost(survey, looks["trained"], material.seconds))

# %% tags=["hide-input"]
paid = symbol_studies.costs(survey, looks["trained"], material.seconds)
plots.show(
    symbol_figures.costs(paid),
    name="costs",
    alt="Milliseconds per picture of each step of the chain beside a bare pass of the network, as bars, on the machine of this run.",
    caption="What each step costs per picture, and a bare pass of the network (the median seed).",
)

# %% [markdown]
# ## Find the intruder
#
# Can people see what the regions of one symbol have in common? The test is simple. It shows four regions: three of one
# symbol, one of another. Who finds the intruder? Guessing finds it in one case of four.
#
# Nobody has rated yet, so the claim stays open. It is a good exercise for a class.

# %%
take("SYM-17", "")

# %% tags=["hide-input"]
if drawable:
    page = symbol_checks.intruders(codes[survey.last].symbols["unseen"], seed, 6)
    if isinstance(page, str):
        display(Markdown(f"In this run there is no page. {page}"))
    else:
        plots.show(
            symbol_views.intruder_page(shown, material.unseen.boxes, page, cells),
            name="intruders",
            alt="Six rows of four regions, lettered a to d, each with one cell outlined. In each row three cells have one symbol, and "
            "one has another.",
            caption=f"Which of the four cells does not belong? Symbols of {survey.last}, first seed; the answers are below; "
            f"{parts.scenes.CREDIT}.",
        )
        display(HTML(symbol_views.intruder_answers(page)))

# %% [markdown]
# ## Beyond the paper
#
# **Does the network use them?** All of the above reads symbols off a network. It shows what goes together, not what causes
# what. So put a symbol in the place of the response: set each cell of the region to a mean response, and see how far the
# logit of the predicted class moves. Four replacements are compared:
#
# - *own symbol*: the mean response of the cell's symbol,
# - *own cells*: the mean of the cell itself, which only loses detail (at the last stage of a ResNet nothing moves, since the
#   network itself takes the mean over places there),
# - *other symbol*: the mean response of another symbol, scaled to the length of the own symbol's,
# - *same norm, random direction*: a random vector of that length.

# %%
if replaced:
    moved = keep("causal", symbol_trials.causal(survey, networks, replaced))

# %% tags=["hide-input"]
if replaced:
    plots.show(
        symbol_figures.causal(moved),
        name="causal",
        alt="Mean absolute change of the logit by stage for each replacement. "
        + listed(moved, "value", ("kind", "replacement", "stage")) + ".",
        caption="How far the logit of the predicted class moves when the region's response is replaced. Logits differ in size between "
        "the panels: compare within one.",
    )  # fmt: skip

# %% tags=["hide-input"]
if replaced:
    display(
        Markdown(
            f"At {survey.last} of the trained networks, by replacement: "
            + listed(
                moved[
                    (moved["kind"] == "trained") & (moved["stage"] == survey.last)
                ],
                "value",
                ("replacement",),
            )
            + "."
        )
    )

# %% [markdown]
# If symbols held what the network uses, the own symbol would hardly move the logit, and another symbol would move it far. If
# the own symbol moves it farther than the cell's own mean does, the difference is what a symbol throws away.
#
# **What if we had read the paper in another way?** Every dot below is a reading. One choice differs at a time. It may be the
# neighbours, distances, passes or metric of UMAP, the pooling, nine vectors or one, or all pictures or certified ones alone.
# Or it is the clustering, the pictures behind the map, or the form of the map. The diamond is our reading.
#
# Certified pictures are fewer and easier: the dot for them is measured on these alone.

# %%
if universes:
    readings = keep(
        "multiverse", symbol_trials.multiverse(survey, networks, fits=universes)
    )

# %% tags=["hide-input"]
if universes:
    usual = {name: readings[name].iloc[0] for name in symbol_trials.CHOICES}
    for measure in symbol_figures.MEASURES:
        if readings[measure].notna().any():
            plots.show(
                symbol_figures.multiverse(readings, measure, usual),
                name="multiverse-" + measure.replace("_", "-"),
                alt=f"{symbol_figures.MEASURES[measure]} of {len(readings)} readings in order, and their choices below. From "
                f"{readings[measure].min():.2f} to {readings[measure].max():.2f}; ours {readings[measure].iloc[0]:.2f}.",
                caption=f"Other readings of the paper: {symbol_figures.MEASURES[measure]} at the last stage, and below it which choices "
                "each dot makes (first seed).",
            )  # fmt: skip

# %% [markdown]
# Where all dots lie close together, our reading does not matter. Where one choice stands out, a paper has to state it.
#
# **What is fixed.** Some of our readings are no parameters. X-means cuts a group in two from two centres drawn as k-means++
# does, and ends when no centre moves by more than a thousandth of the data's standard deviation. A millionth is added to
# each count of the map. A detector is asked for the first name of the class, in small letters and with a full stop, and its
# best box is taken. A new vector gets the symbol of the nearest centre.
#
# ## What the paper leaves open
#
# **What does a symbol mean?** The paper has no ground truth. On pictures with known parts one can ask, and the answer is a
# number beside its chance level. On photographs one still cannot.
#
# **A detector is part of the claim.** With a real detector, finding the region is part of the task. Here the region is known
# exactly: a part of the answer is given. The figure of the sources of regions shows what that is worth.
#
# **Errors or oddness?** A score such as {eq}`eq-ess` asks "are these symbols likely for what the network says?" It falls
# wherever the network errs, and attacked and outside pictures are mostly errors. Does the score know more than that? Only the
# comparison with errors on clean pictures can tell. As far as we know, the paper does not make it.
#
# **Small networks.** Sixteen classes and 48 pixels are not ImageNet. Every verdict of the quick run is an *analog*: another
# network and other data stand in for the paper's.

# %% [markdown]
# ## Exercises
#
# Fill in a stub, replacing each `...`, and run the cell below it. The check tries your answer on fresh random input and says
# what is wrong with it, but not what is right. The exercises go from a warm-up to open research.

# %% exercise="all" tags=["exercise-check"]
import torch
from innercodes import exercises

# %% [markdown] exercise="map_by_hand" tags=["exercise"]
# **1. A map by hand** (warm-up, 5 minutes).
# Symbol 0 was seen 6 times with class A and twice with class B. Symbol 1 was never seen with A, and 4 times with B. A
# picture has symbol 0 in three cells and symbol 1 in one. Its score for a class is the mean over its cells of
# $P(c \mid s)$. Compute the scores of A and of B, to two decimals.
#
# ```{dropdown} Hint
# First the rows of the map. Symbol 0 was seen 8 times in all. Which share of these with A?
# ```

# %% exercise="map_by_hand" tags=["exercise-stub"]
mine = [..., ...]  # A, B

# %% exercise="map_by_hand" tags=["exercise-check"]
exercises.check_map_by_hand(mine)

# %% [markdown] exercise="map_by_hand" tags=["exercise-solution"]
# ````{dropdown} Solution
# The rows are $(6/8, 2/8)$ and $(0, 1)$. For A, $(3 \cdot 0.75 + 0) / 4 \approx 0.56$; for B,
# $(3 \cdot 0.25 + 1) / 4 \approx 0.44$. They name A, and not by much: one cell in four knows better.
#
# ```python
# mine = [0.56, 0.44]
# ```
# ````

# %% [markdown] exercise="pool_cells" tags=["exercise"]
# **2. Nine vectors from a response** (easy, 15 minutes).
# Write `pool_cells(response)`. `response` is what a layer says about a region, already cut out: channels × rows ×
# columns, rows and columns multiples of 3. Cut it into 3 × 3 cells and take the largest number of each channel in
# each cell. Return a row per cell, row by row, and a column per channel.
#
# ```{dropdown} Hint 1
# `torch.nn.functional.adaptive_max_pool2d` cuts into cells by itself. Or use `view` with five dimensions.
# ```
#
# ```{dropdown} Hint 2
# Then there are channels first and cells after. `reshape(9, -1)` would mix them up.
# ```


# %% exercise="pool_cells" tags=["exercise-stub"]
def pool_cells(response):
    """The nine vectors of a region: float (C, 3a, 3b) to float (9, C)."""
    ...


# %% exercise="pool_cells" tags=["exercise-check"]
exercises.check_pool_cells(pool_cells)

# %% [markdown] exercise="pool_cells" tags=["exercise-solution"]
# ````{dropdown} Solution
# What is lost is the place within a cell: any shuffling of a cell's pixels gives the same vector. And all but the
# largest number of each channel. Nine cells keep a rough layout of the object.
#
# ```python
# def pool_cells(response):
#     """The nine vectors of a region: float (C, 3a, 3b) to float (9, C)."""
#     return torch.nn.functional.adaptive_max_pool2d(response, 3).flatten(1).T
# ```
# ````

# %% [markdown] exercise="surrogate" tags=["exercise"]
# **3. A cloud without clusters** (medium, 25 minutes).
# Are there clusters at all? One needs something to compare with: a cloud that has none and is otherwise alike. Write
# `surrogate(vectors)`: as many new points as there are vectors, drawn from the Gaussian with the same mean and the
# same covariance.
#
# Then look: `xmeans.fit(surrogate(x).float(), 0).centers` for some vectors `x` of yours. How many clusters are found
# where there are none?
#
# ```{dropdown} Hint 1
# Begin with white noise, `torch.randn_like(vectors)`, whose covariance is the identity.
# ```
#
# ```{dropdown} Hint 2
# If $C = L L^T$, then white noise times $L^T$ has the covariance $C$. `torch.linalg.cholesky` finds such an $L$.
# ```


# %% exercise="surrogate" tags=["exercise-stub"]
def surrogate(vectors):
    """Points of a Gaussian like the vectors: float (N, D) to float (N, D)."""
    ...


# %% exercise="surrogate" tags=["exercise-check"]
exercises.check_surrogate(surrogate)

# %% [markdown] exercise="surrogate" tags=["exercise-solution"]
# ````{dropdown} Solution
# X-means finds clusters in such clouds too, above all after UMAP, which tears a cloud where it is a little thinner.
# So a number of clusters proves nothing. What counts is how much better the real vectors come apart.
#
# ```python
# def surrogate(vectors):
#     """Points of a Gaussian like the vectors: float (N, D) to float (N, D)."""
#     root = torch.linalg.cholesky(torch.cov(vectors.T))
#     return vectors.mean(0) + torch.randn_like(vectors) @ root.T
# ```
# ````

# %% [markdown] exercise="symbol_score" tags=["exercise"]
# **4. A doubt in one number** (medium, 20 minutes).
# Write `symbol_score(read, said, counts)`: the expected symbol score, the mean over a picture's cells of
# $P(s_j \mid \hat y)$. `read` has a row of nine symbols per picture, `said` is the class $\hat y$ that the network says,
# and `counts` has the map as it was counted, a row per symbol and a column per class. Every class was seen.
#
# ```{dropdown} Hint 1
# How likely is a symbol *for a class*? Then each column of the map must add up to 1.
# ```
#
# ```{dropdown} Hint 2
# `table[read, said[:, None]]` picks, for each cell of each picture, the row of its symbol and the column of its class.
# ```


# %% exercise="symbol_score" tags=["exercise-stub"]
def symbol_score(read, said, counts):
    """The score of each picture: int (N, 9), int (N,), int (K, C) to float (N,)."""
    ...


# %% exercise="symbol_score" tags=["exercise-check"]
exercises.check_symbol_score(symbol_score)

# %% [markdown] exercise="symbol_score" tags=["exercise-solution"]
# ````{dropdown} Solution
# To name a class one asks which classes go with a symbol. To doubt one, one asks which symbols go with a class. The
# counts are the same, divided by other sums. The score also falls when the network errs, for any reason: that is
# the trap of this chapter.
#
# ```python
# def symbol_score(read, said, counts):
#     """The score of each picture: int (N, 9), int (N,), int (K, C) to float (N,)."""
#     likely = counts / counts.sum(0)
#     return likely[read, said[:, None]].mean(1)
# ```
# ````

# %% [markdown] exercise="chance_level" tags=["exercise"]
# **5. What chance tells** (hard, 40 minutes).
# Symbols seem to tell about classes even where they know nothing: with few pictures some of it is luck. Write
# `chance_level(read, labels)`: the mutual information, in bits, of a cell's symbol and its picture's class, when classes
# are exchanged between pictures at random; its mean over at least 100 exchanges. `read` has a row of nine symbols per
# picture.
#
# $I = \sum_{s, c} p(s, c) \log_2 \frac{p(s, c)}{p(s)\, p(c)}$, over the table of all cells. Be careful about what you
# exchange: the nine cells of a picture are much alike.
#
# ```{dropdown} Hint 1
# Write a function for the information first. Call it with `labels[torch.randperm(len(labels))]`.
# ```
#
# ```{dropdown} Hint 2
# A table of counts: `torch.bincount(read.flatten() * classes + repeated)`, with each label repeated for its nine cells. Pairs that were never seen add nothing.
# ```


# %% exercise="chance_level" tags=["exercise-stub"]
def chance_level(read, labels):
    """Mean information of exchanged classes, in bits: int (N, 9), int (N,) to a number."""
    ...


# %% exercise="chance_level" tags=["exercise-check"]
exercises.check_chance_level(chance_level)

# %% [markdown] exercise="chance_level" tags=["exercise-solution"]
# ````{dropdown} Solution
# If one exchanges the classes of single cells, the nine cells of a picture no longer agree by chance. The chance level
# comes out several times too low, and symbols without any meaning look as if they had one.
#
# ```python
# def information(read, labels):
#     classes, count = int(labels.max()) + 1, int(read.max()) + 1
#     pairs = read * classes + labels[:, None]
#     table = torch.bincount(pairs.flatten(), minlength=count * classes).view(count, classes)
#     shares = table / table.sum()
#     apart = shares.sum(1, keepdim=True) * shares.sum(0)
#     return (shares * (shares / apart).log2()).nansum()
#
#
# def chance_level(read, labels):
#     """Mean information of exchanged classes, in bits: int (N, 9), int (N,) to a number."""
#     every = [information(read, labels[torch.randperm(len(labels))]) for _ in range(200)]
#     return torch.stack(every).mean()
# ```
# ````

# %% [markdown] exercise="attack_or_error" tags=["exercise"]
# **6. Attacked, or just wrong?** (open, 90 minutes).
# The symbol score is low for attacked pictures. But it is low for the network's own errors as well. Find a score that
# tells the two apart. Write `attack_or_error(named)`: `named` has a row per picture and a column per stage, the class
# that the symbols of the stage name, the last stage last. The network errs on all of them. Attacked pictures must
# get the larger number.
#
# The check makes fresh pictures of a simple world: 16 classes, 8 stages. The early stages of an error name this and that.
# The early stages of an attacked picture mostly name its true class, which you do not know. Your number must put an
# attacked picture above an error in 90 of 100 pairs (AUROC 0.9).
#
# Then it is research. Ask your number in this chapter: `survey` and `attacks` hold the symbols of every stage. Does it
# still work, and also for the attack that raises the symbol score?
#
# ```{dropdown} Hint 1
# Both kinds contradict the last stage. In which of them do the early stages contradict each other?
# ```
#
# ```{dropdown} Hint 2
# Compare every early stage with every other, and with the last.
# ```


# %% exercise="attack_or_error" tags=["exercise-stub"]
def attack_or_error(named):
    """A number that is larger for attacked pictures: int (N, stages) to float (N,)."""
    ...


# %% exercise="attack_or_error" tags=["exercise-check"]
exercises.check_attack_or_error(attack_or_error)

# %% [markdown] exercise="attack_or_error" tags=["exercise-solution"]
# ````{dropdown} Solution
# Early stages that agree with each other and not with the end were turned away late. In the made world this works
# because it was made so. In a network an error may be turned away late as well, and an attacker who knows the score can
# attack it too.
#
# ```python
# def attack_or_error(named):
#     """A number that is larger for attacked pictures: int (N, stages) to float (N,)."""
#     early, last = named[:, :-1], named[:, -1:]
#     alike = (early[:, :, None] == early[:, None, :]).double().mean((1, 2))
#     return alike - (early == last).double().mean(1)
# ```
# ````

# %% [markdown]
# ## The record
#
# Every claim, with what the paper says, what we measured, and the verdict.

# %%
results.write()
results

# %% [markdown]
# **What was easy.** The chain of steps: each is a line or two, and libraries do the hard ones.
#
# **What was hard.** Chance. Nine cells of a picture are not nine samples, clusters are found in noise, and a score that
# falls with errors looks as if it found attacks. Most of the work of this chapter is what stands *beside* a number.
#
# **Where we departed from the paper.** We had no full text: what is marked "our reading" in the parameter cell is a guess
# that seemed natural. Pictures with known parts and small networks stand in for 78 classes of ImageNet and five large
# networks. Regions are known boxes, not a detector's. We use a few hundred pictures, so symbols are few; how many the paper
# used we could not find out.
#
# The paper discards a picture whose region the second look rejects. We keep it, unless `kept = "certified"` is set: discarding
# takes away the hard pictures, and every score would look better for that reason alone. Pictures of new classes are never
# discarded, since no network has an answer for them.
#
# X-means is our own. The library pyclustering stops at two clusters in half of its runs on data with 200; it stays as an
# option. Clusters of a transformer's tokens are read without the class token.
#
# **What was changed after a look.** The transformer first had ten passes of training. It then made too few errors for SYM-10
# to be asked, so it now has five, like the ResNet. In a first full run the attack on symbols was strongest at the largest of
# its weights. So two weights were added to the sweep, 0 and 100, and 0.1 was dropped. No threshold was touched. The largest
# weight is still the strongest in the quick run, so a stronger attacker may bring the score down further.
#
# **What was left out.** Ratings by people, because nobody has rated yet. And runs at the paper's own scale: they need a
# detector and pretrained networks from a hub.
#
# ## Summary
#
# The record above is the summary: read the verdicts with their baselines. Three questions help with each claim. Does the
# untrained twin do it too? Does the network's own confidence do it as well? And does another reading of the paper change it?
#
# The recorded runs look at photographs, with a box in the middle as the region. The symbols of the last stage carry the
# class there too. For ResNet-56 on CIFAR-10 they predict it with 92 % (the nearest class mean: 93 %). On ten classes of
# ImageNet it is 91 % for MobileNetV2 (95 %) and 91 % for ViT-tiny (93 %).
#
# As warnings they are mostly weaker than the network's own confidence. For ResNet-56 the AUROC for errors is 0.78
# (max-softmax 0.93), and for outside pictures 0.75 (0.84). In MobileNetV2 and ViT-tiny it is 0.87 and 0.86 for outside
# pictures (0.98 both). Only for attacks can they be better than that confidence: 0.55 in ResNet-56 (0.61), but 0.75 in
# MobileNetV2 (0.48) and 0.84 in ViT-tiny (0.66). (Mahalanobis was not asked there.) An attack that aims at the symbols too
# brings the last down to 0.54, but it succeeds on three pictures of ten only.
#
# Under attack ViT-tiny names no picture right. The symbols of its earlier stages still name 72 % (clean: 83 %). In
# MobileNetV2 it is 33 % (36 %) where the network itself keeps 6 %, in ResNet-56 37 % (46 %) where it keeps 30 %.
#
# From five labelled pictures of each new class, the symbols of ResNet-56 name 39 % of the rest right, where pixels give
# 41 %, and in MobileNetV2 37 % (41 %). In ViT-tiny they name 71 % (41 %): here the claim holds. The pooled responses from
# which the symbols were made give more in all three (56, 91 and 92 %). So symbols lose much of what a new class needs.
#
# On CIFAR-10, three small networks that were trained apart share few symbols: their adjusted Rand index is 0.07. Over seeds
# of one network it is 0.66 (0.6 was asked of both). And there the second look, which keeps better pictures by 3.6 points of
# accuracy, does nearly as well with random boxes (3.2). To keep as many of the most confident pictures gains more (6.0).
#
# In an LSTM on film reviews the symbols of the last layer name the opinion with 78 % (largest class: 51 %).
#
# Further reading: {cite:t}`lee2024symbols` for the paper; {cite:t}`lee2023stcert` for the second look;
# {cite:t}`mcinnes2018` for UMAP; {cite:t}`pelleg2000` for X-means; {cite:t}`simonsohn2020` for drawing many readings at once.
