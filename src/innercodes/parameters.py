"""Every parameter of every chapter: name, type, range and meaning, the check before any work starts, device and seeds.

One `Parameter` is the only place where a parameter is described. The check in the notebook, the table printed there and
the table on the site are made from it. One name means one thing in all chapters.
"""

import ast
import html
import itertools
import math
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import torch

from innercodes import tables
from innercodes.tables import Html


class ParameterError(ValueError):
    """One line that names the parameter, its value and what is allowed."""


@dataclass(frozen=True)
class Parameter:
    """A plain scalar that a chapter takes.

    `kind` is bool, int, float or str. `low` and `high` are inclusive bounds of a number, `choices` the allowed words of a
    string, and `path` is "folder" or "file or folder" for a string that must name one that exists; an empty path means "none".
    `pattern` is a regular expression that a string must match as a whole, and `words` says it in words.
    `memory` maps all values of a run to the bytes that this parameter makes it need.
    """

    name: str
    kind: type
    default: Any
    meaning: str
    unit: str = ""
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[str, ...] = ()
    path: str = ""
    pattern: str = ""
    words: str = "one line of text that is not empty"
    memory: Callable[[Mapping[str, Any]], float] | None = None

    @property
    def allowed(self) -> str:
        """What is allowed, in words."""
        if self.kind is bool:
            return "True or False"
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if self.path:
            return f"a {self.path} that exists, or empty"
        if self.kind is str:
            return self.words
        number = "a whole number" if self.kind is int else "a number"
        if math.isinf(self.high):
            return number if math.isinf(self.low) else f"{number} of at least {self.low:g}"
        form = ",d" if self.kind is int else "g"
        return f"{number} from {self.low:{form}} to {self.high:{form}}"

    def check(self, value: Any) -> None:
        """Raise ParameterError unless the value is allowed."""
        # bool is an int to Python, and an int is a fine float; nothing else is converted.
        kinds = {bool: bool, int: int, float: (int, float), str: str}[self.kind]
        good = isinstance(value, kinds) and (self.kind is bool or not isinstance(value, bool))
        if good and self.kind in (int, float):
            # Compared as they are: an int too large for a float must not overflow, and NaN fails both comparisons.
            good = self.low <= value <= self.high and value not in (math.inf, -math.inf)
        elif good and self.kind is str:
            good = self._good_text(value)
        if not good:
            raise refusal(self.name, value, self.allowed)

    def _good_text(self, text: str) -> bool:
        if self.choices:
            return text in self.choices
        if self.pattern:
            return re.fullmatch(self.pattern, text) is not None
        if not self.path:
            return bool(text.strip()) and text.isprintable()
        if "\0" in text:
            return False
        try:
            return not text or {"folder": Path.is_dir, "file or folder": Path.exists}[self.path](
                Path(text).expanduser()
            )
        except (OSError, RuntimeError, ValueError):
            return False


def refusal(name: str, value: Any, allowed: str) -> ParameterError:
    """The error for a value that is not allowed: one line, however long or odd the value."""
    shown = ascii(value) if not isinstance(value, int) or abs(value) < 10**40 else "a whole number of over 40 digits"
    shown = shown if len(shown) <= 120 else shown[:117] + "..."
    return ParameterError(f"{name} = {shown}: must be {allowed}")


PRESETS = ("quick", "imagenet", "paper")

COMMON = (
    Parameter("preset", str, "quick", "Scale of the run; the values of a preset stand in presets/.", choices=PRESETS),
    Parameter(
        "run",
        str,
        "default",
        "Name of the run within its preset; it becomes part of file names.",
        pattern=r"(?!.*--)[A-Za-z0-9_][A-Za-z0-9_.-]*",
        words="ASCII letters, digits, '_', '-' and '.', without '--' and not beginning with '.' or '-'",
    ),
    Parameter("seed", int, 0, "First seed.", low=0, high=2**31 - 1),
    Parameter("n_seeds", int, 3, "How many seeds in a row; every network is trained once for each.", low=1, high=100),
    Parameter(
        "device",
        str,
        "auto",
        "Where tensors live; auto is CUDA where there is one, else the CPU.",
        pattern=r"auto|cpu|cuda(:[0-9]{1,3})?",
        words="auto, cpu, cuda or cuda:N, and a device of this machine",
    ),
    Parameter(
        "threads", int, 1, "CPU threads of the run; results can change in the last bits with it.", low=1, high=256
    ),
    Parameter("data_root", str, "", "Folder that holds the data sets; embedded data need none.", path="folder"),
    Parameter(
        "weights", str, "", "File or folder with the network's weights; empty: trained here.", path="file or folder"
    ),
    Parameter("out_dir", str, "runs", "Folder that takes results.json; it is made when missing."),
    Parameter("progress", str, "auto", "Progress bars; auto shows them.", choices=("auto", "on", "off")),
)

PANEL = "tictactoe/resmlp5 digits/cnn digits/resnet8 breast_cancer/mlp5 wine/mlp5 docstrings/lstm"

UNREADABLE = Parameter(
    "unreadable",
    str,
    "refuse",
    "Files below data_root that are no whole pictures: refuse names them and stops, skip leaves them out.",
    choices=("refuse", "skip"),
)
"""Of every chapter that reads folders of pictures."""

CHAPTERS: dict[str, tuple[Parameter, ...]] = {}

# A statement for each chapter: a run of one does not depend on the parameters of another (provenance.source_hash).
CHAPTERS["02_sparse_interactions"] = (
    *COMMON,
    Parameter(
        "dataset",
        str,
        "tictactoe",
        "The game's data.",
        choices=(
            *("tictactoe", "digits", "breast_cancer", "wine", "parity", "docstrings"),
            *("mnist3", "imagenette", "adult", "sst2", "tinystories", "squad", "motorbike"),
        ),
    ),
    Parameter(
        "model",
        str,
        "mlp5",
        "The network; timm/NAME and transformers/NAME take any network of these libraries.",
        pattern=r"[a-z0-9]+|(timm|transformers)/[A-Za-z0-9][A-Za-z0-9_./-]*",
        words="a network of innercodes.models, timm/NAME or transformers/NAME",
    ),
    Parameter(
        "n_players",
        int,
        9,
        "Input variables that can be masked: squares, parts, columns or words; a sample has 2^n masked outputs.",
        low=2,
        high=40,
        # float64 outputs and dividends of four kinds of networks for every seed, and two such arrays to work in.
        memory=lambda values: 10 * 8 * values["n_seeds"] * values["n_samples"] * 2.0 ** values["n_players"],
    ),
    Parameter("part_size", int, 3, "Side of a part of an MNIST digit: 3, 5 or 7.", "pixels", low=3, high=7),
    Parameter("n_samples", int, 958, "Samples whose masked outputs are all computed.", "samples", low=2, high=100_000),
    Parameter("train_size", int, 958, "Training samples; tic-tac-toe has 958.", "samples", low=16, high=100_000),
    Parameter("epochs", int, 1000, "Passes over the training samples.", "passes", low=1, high=100_000),
    Parameter("learning_rate", float, 0.1, "Learning rate at the start; it ends at a tenth.", low=1e-8, high=10),
    Parameter(
        "mask_passes", int, 20, "Passes in which a language model's mask embedding is learned.", low=1, high=10_000
    ),
    Parameter(
        "mask_learning_rate",
        float,
        0.001,
        "Learning rate of that embedding; the paper's is 0.001.",
        low=1e-8,
        high=10,
    ),
    Parameter("mask_value", float, 0.0, "What a masked variable is replaced by.", low=-1e6, high=1e6),
    Parameter(
        "salience",
        float,
        0.05,
        "Share of the strongest that the pictures call salient; claims are judged at 0.05.",
        low=0,
        high=1,
    ),
    Parameter("fit_samples", int, 200, "Samples whose outputs are split into AND and OR.", low=2, high=100_000),
    Parameter("fit_solver", str, "admm", "Solver of the AND-OR fit; sgd is the authors'.", choices=("admm", "sgd")),
    Parameter("fit_iterations", int, 1000, "Iterations of the AND-OR fit.", low=1, high=10_000_000),
    Parameter("noise_band", float, 0.04, "Largest noise the fit removes, share of v(N) - v(∅).", low=0, high=1),
    Parameter(
        "panel",
        str,
        PANEL,
        "More games to compare, as dataset/network words; none: no more.",
        pattern=r"none|[a-z0-9_]+/[a-z0-9]+( [a-z0-9_]+/[a-z0-9]+)*",
        words="none, or words such as digits/cnn with blanks between them",
    ),
    Parameter("panel_samples", int, 32, "Samples of each game of the panel.", "samples", low=2, high=10_000),
    Parameter("fine_players", int, 14, "Finest split of a digit in the count of interactions.", low=12, high=20),
    Parameter("fine_samples", int, 24, "Digits that are split so; 0: leave this out.", "samples", low=0, high=1000),
    Parameter("all_part_sizes", bool, True, "Compare MNIST parts of 3, 5 and 7 pixels."),
    Parameter("attack_size", float, 0.3, "Half-width of the box of the attack, in input units.", low=0, high=100),
    Parameter("attack_steps", int, 20, "Steps of the attack.", "steps", low=1, high=10_000),
    Parameter("attack_samples", int, 200, "Samples that are attacked.", "samples", low=2, high=100_000),
    Parameter("planted", int, 50, "Planted games on which the fit is checked.", "games", low=3, high=10_000),
    Parameter("sampled_masks", int, 4000, "Masks drawn where 2^n are too many.", "masks", low=100, high=10_000_000),
    Parameter("bootstrap", int, 2000, "Resamples behind an interval.", "draws", low=100, high=1_000_000),
    Parameter("show_examples", bool, True, "Draw samples; only those of embedded data are ever drawn."),
)


CHAPTERS["03_functional_telescope"] = (
    *COMMON,
    Parameter(
        "dataset",
        str,
        "digits",
        "The pictures: digits, or a folder below data_root with <split>/<class>/ folders of files.",
        pattern=r"[A-Za-z0-9_][A-Za-z0-9_.-]*",
        words="digits, or the name of a folder below data_root",
    ),
    UNREADABLE,
    Parameter(
        "model",
        str,
        "resnet20",
        "The network; NAME or timm/NAME takes any network of timm.",
        pattern=r"(timm/)?[A-Za-z0-9][A-Za-z0-9_.-]*",
        words="a network of innercodes.models or of timm",
    ),
    Parameter("pretrained", bool, False, "Fetch timm's weights from its hub; this needs the internet."),
    Parameter(
        "stages",
        str,
        "auto",
        "Stages that are mapped, shallow to deep; auto takes up to four.",
        pattern=r"auto|[^\s]+( [^\s]+)+",
        words="auto, or two and more names of modules with blanks between them",
    ),
    Parameter("fitted", int, 1201, "Pictures that maps are fitted on, at most.", "pictures", low=20, high=10_000_000),
    Parameter("unseen", int, 596, "Other pictures, at most.", "pictures", low=20, high=10_000_000),
    Parameter("epochs", int, 30, "Passes in which a network is trained here.", "passes", low=1, high=100_000),
    Parameter("learning_rate", float, 0.1, "Learning rate at the start; it ends at a tenth.", low=1e-8, high=10),
    Parameter(
        "noise_epochs",
        int,
        0,
        "Passes that train twins on shuffled labels beside given weights; 0: none.",
        "passes",
        low=0,
        high=100_000,
    ),
    Parameter(
        "coding",
        str,
        "normalised",
        "How maps become codes.",
        choices=("normalised", "raw", "without centre", "z-scored"),
    ),
    Parameter("center", str, "mean", "The centre of mass as one number.", choices=("mean", "raster", "radius")),
    Parameter("negative", str, "zero", "What a value below 0 weighs in the centre.", choices=("zero", "size")),
    Parameter("grid", int, 20, "Side of the map.", "units", low=2, high=200),
    Parameter(
        "grids",
        str,
        "10 20",
        "Sides of the maps whose class centres are compared.",
        pattern=r"([2-9]|[1-9][0-9]{1,2})( ([2-9]|[1-9][0-9]{1,2}))+",
        words="two or more whole numbers from 2 to 999 with blanks between them",
    ),
    Parameter("sigma", float, 10.0, "Width of the neighbourhood at the start.", "units", low=1e-6, high=1000),
    Parameter("alpha", float, 0.1, "Rate of the map at the start.", low=1e-6, high=1),
    Parameter(
        "som_epochs", int, 5, "Passes of the map over its pictures, as in the paper.", "passes", low=1, high=10_000
    ),
    Parameter(
        "batch_size",
        int,
        1,
        "Codes of one step of the map; the paper's 10 for 50,000 pictures.",
        "codes",
        low=1,
        high=100_000,
    ),
    Parameter("best_units", int, 10, "Best units that stand for a picture.", "units", low=1, high=100),
    Parameter("backend", str, "innercodes", "Who takes the map's steps.", choices=("innercodes", "quicksom")),
    Parameter("repeats", int, 6, "Maps of resampled pictures behind an interval.", "maps", low=3, high=1000),
    Parameter("surrogates", int, 8, "Sets of Gaussian codes that a map is held against.", "sets", low=3, high=10_000),
    Parameter("attack_size", float, 0.1, "Half-width of the attack's box, pixels in [0, 1].", low=0, high=1),
    Parameter("attack_steps", int, 50, "Steps of the attack.", "steps", low=1, high=10_000),
    Parameter("attack_step", float, 0.02, "Length of a step, as a share of the half-width.", low=0, high=10),
    Parameter("attack_samples", int, 200, "Unseen pictures that are attacked.", "pictures", low=4, high=100_000),
    Parameter("flip_steps", int, 20, "Steps of the attacks of other sizes and aims.", "steps", low=1, high=10_000),
    Parameter(
        "partner",
        str,
        "resnet8",
        "A second network that the first is stitched to; none leaves this out.",
        pattern=r"[a-z0-9]+",
        words="none or a network of innercodes.models",
    ),
    Parameter("partner_weights", str, "", "File with its weights; empty: trained here.", path="file or folder"),
    Parameter("stitch_samples", int, 1201, "Fitted pictures that train a stitch.", "pictures", low=10, high=10_000_000),
    Parameter("stitch_epochs", int, 20, "Passes that train a stitch.", "passes", low=1, high=10_000),
    Parameter(
        "beyond",
        str,
        "vit8 rows_lstm",
        "Other architectures for the digits, or none.",
        pattern=r"none|[a-z0-9_]+( [a-z0-9_]+)*",
        words="none, or names of innercodes.models with blanks between them",
    ),
    Parameter(
        "beside",
        str,
        "none",
        "Another folder of pictures below data_root, held against the maps; none leaves this out.",
        pattern=r"[A-Za-z0-9_][A-Za-z0-9_.-]*",
        words="none or the name of a folder below data_root",
    ),
    Parameter("bootstrap", int, 2000, "Resamples behind an interval.", "draws", low=100, high=1_000_000),
    Parameter("show_examples", bool, True, "Draw pictures; only those of embedded data are ever drawn."),
)


CHAPTERS["04_coding_spectra"] = (
    *COMMON,
    Parameter(
        "dataset",
        str,
        "scenes",
        "The pictures: scenes, or a folder below data_root with <split>/<class>/ folders of files.",
        pattern=r"[A-Za-z0-9_][A-Za-z0-9_.-]*",
        words="scenes, or the name of a folder below data_root",
    ),
    UNREADABLE,
    Parameter(
        "model",
        str,
        "autoencoder",
        "The network; NAME or timm/NAME takes any network of timm.",
        pattern=r"(timm/)?[A-Za-z0-9][A-Za-z0-9_.-]*",
        words="autoencoder, or a network of innercodes.models or of timm",
    ),
    Parameter("pretrained", bool, False, "Fetch timm's weights from its hub; this needs the internet."),
    Parameter("shipped", bool, True, "Take the autoencoders that come with the book; else they are trained here."),
    Parameter(
        "width", int, 12, "Channels of the autoencoder's first layer; the paper's 64.", "channels", low=8, high=512
    ),
    Parameter("size", int, 64, "Side of the autoencoder's pictures; the paper's 224.", "pixels", low=32, high=512),
    Parameter(
        "rates",
        str,
        "0 0.4 0.6 0.8",
        "Dropout rates of the autoencoders.",
        pattern=r"0(\.\d+)?( 0(\.\d+)?)*",
        words="numbers from 0 to below 1 with blanks between them",
    ),
    Parameter(
        "reference", float, 0.4, "The rate of the autoencoder that claims on one network look at.", low=0, high=0.99
    ),
    Parameter(
        "loss",
        str,
        "bce",
        "Loss of a reconstruction: the authors' code has bce, their text mse.",
        choices=("bce", "mse"),
    ),
    Parameter("settle", bool, True, "Set BatchNorm's statistics again with dropout off; the paper does not."),
    Parameter(
        "trained_on",
        int,
        4000,
        "Pictures that autoencoders are trained on, at most.",
        "pictures",
        low=100,
        high=10_000_000,
    ),
    Parameter("epochs", int, 20, "Passes in which an autoencoder is trained.", "passes", low=1, high=10_000),
    Parameter("learning_rate", float, 0.001, "Learning rate of Adam.", low=1e-8, high=10),
    Parameter(
        "pictures",
        int,
        2000,
        "Other pictures, which spectra are taken of, at most.",
        "pictures",
        low=100,
        high=10_000_000,
    ),
    Parameter(
        "layers",
        str,
        "blocks",
        "Layers of the autoencoder: blocks has the stem and the end of each block, every all units after a ReLU.",
        choices=("blocks", "every"),
    ),
    Parameter(
        "columns",
        int,
        500,
        "Values of a layer that are kept, at most; the paper's 8000.",
        "values",
        low=60,
        high=100_000,
    ),
    Parameter(
        "window",
        str,
        "10 50",
        "First and last rank of the power law; claims are judged at 10 50.",
        pattern=r"[1-9]\d{0,3} [1-9]\d{0,3}",
        words="two whole numbers from 1 to 9999 with a blank between them",
    ),
    Parameter("frames", int, 100, "Frames of the moving dot.", "frames", low=8, high=100_000),
    Parameter("projections", int, 1000, "Random projections of a layer.", "draws", low=20, high=1_000_000),
    Parameter("repeats", int, 4, "Resamplings behind an interval.", "draws", low=3, high=1000),
    Parameter("toy_features", int, 100, "Features of the toy model; the paper's 400.", "features", low=4, high=10_000),
    Parameter("toy_hidden", int, 10, "Hidden units of the toy model; the paper's 30.", "units", low=2, high=1000),
    Parameter(
        "toy_sparsities",
        int,
        13,
        "Points of the toy model's sweep, 1 / (1 - S) from 1 to 100.",
        "points",
        low=4,
        high=100,
    ),
    Parameter("toy_steps", int, 7000, "Steps that train a toy model; 0: none.", "steps", low=0, high=10_000_000),
    Parameter(
        "correcting_depth",
        int,
        12,
        "Layers of the error-correcting network; the paper's 40.",
        "layers",
        low=4,
        high=200,
    ),
    Parameter("correcting_steps", int, 4000, "Steps that train it; 0: none.", "steps", low=0, high=10_000_000),
    Parameter(
        "widths",
        str,
        "8 16",
        "Widths of autoencoders that are watched while they learn.",
        pattern=r"[1-9]\d{0,2}( [1-9]\d{0,2})*",
        words="whole numbers from 1 to 999 with blanks between them",
    ),
    Parameter("growing_epochs", int, 8, "Passes in which they are watched.", "passes", low=1, high=10_000),
    Parameter(
        "classifiers",
        str,
        "resnet8 resnet20 vit8 rows_lstm",
        "Networks of chapter 03 that are trained on its digits and attacked, or none.",
        pattern=r"none|(resnet8|resnet20|vit8|rows_lstm)( (resnet8|resnet20|vit8|rows_lstm))*",
        words="none, or names among resnet8, resnet20, vit8 and rows_lstm with blanks between them",
    ),
    Parameter("classifier_epochs", int, 30, "Passes in which they are trained, at most.", "passes", low=1, high=10_000),
    Parameter("messages", int, 1000, "Messages sent through noisy layers.", "messages", low=10, high=1_000_000),
    Parameter(
        "language",
        str,
        "docstrings",
        "The language model: docstrings for the one that comes with the book, a name of a hub for transformers, or none.",
        pattern=r"[A-Za-z0-9][A-Za-z0-9_./-]*",
        words="none, docstrings, or a name of a language model",
    ),
    Parameter(
        "language_weights", str, "", "Folder with that model, for transformers; empty: by its name.", path="folder"
    ),
    Parameter("texts", str, "docstrings", "What it reads.", choices=("docstrings", "tinystories", "wikitext")),
    Parameter("text_count", int, 200, "Texts that it reads.", "texts", low=20, high=1_000_000),
    Parameter("text_tokens", int, 64, "Tokens of a text, at most; the paper's 64.", "tokens", low=8, high=100_000),
    Parameter(
        "explained",
        int,
        24,
        "Neurons, and projections, of each layer that are explained.",
        "units",
        low=2,
        high=100_000,
    ),
    Parameter("bootstrap", int, 2000, "Resamples of points behind an interval.", "draws", low=100, high=1_000_000),
    Parameter("show_examples", bool, True, "Draw pictures and text; only those of embedded data are ever drawn."),
)


CHAPTERS["01_symbols"] = (
    *COMMON,
    Parameter(
        "dataset",
        str,
        "parts",
        "The pictures: parts, or a folder below data_root with <split>/<class>/ folders of files.",
        pattern=r"[A-Za-z0-9_][A-Za-z0-9_.-]*",
        words="parts, or the name of a folder below data_root",
    ),
    UNREADABLE,
    Parameter(
        "model",
        str,
        "resnet8",
        "The network; NAME or timm/NAME takes any network of timm.",
        pattern=r"(timm/)?[A-Za-z0-9][A-Za-z0-9_.-]*",
        words="a network of innercodes.models or of timm",
    ),
    Parameter("pretrained", bool, False, "Fetch timm's weights from its hub; this needs the internet."),
    Parameter("shipped", bool, True, "Take the networks of parts that come with the book; else they are trained here."),
    Parameter(
        "size", int, 48, "Side of the pictures of a network that does not say its own.", "pixels", low=32, high=512
    ),
    Parameter(
        "trained_on",
        int,
        5000,
        "Pictures that a network is trained on here, at most.",
        "pictures",
        low=32,
        high=10_000_000,
    ),
    Parameter("epochs", int, 5, "Passes in which a network is trained here.", "passes", low=1, high=100_000),
    Parameter("learning_rate", float, 0.1, "Learning rate at the start; it ends at a tenth.", low=1e-8, high=10),
    Parameter("train_batch", int, 32, "Pictures of a step of training.", "pictures", low=2, high=100_000),
    Parameter(
        "stages",
        str,
        "auto",
        "Stages that are looked at, shallow to deep; auto takes up to four.",
        pattern=r"auto|[^\s]+( [^\s]+)+",
        words="auto, or two and more names of modules with blanks between them",
    ),
    Parameter(
        "fitted", int, 256, "Pictures that symbols are built from, at most.", "pictures", low=20, high=10_000_000
    ),
    Parameter("unseen", int, 640, "Other pictures of the same classes, at most.", "pictures", low=20, high=10_000_000),
    Parameter(
        "outside",
        str,
        "auto",
        "Sets of none of the known classes: auto (those of parts), none, or folders below data_root.",
        pattern=r"[A-Za-z0-9_][A-Za-z0-9_.-]*( [A-Za-z0-9_][A-Za-z0-9_.-]*)*",
        words="auto, none, or names of folders below data_root with blanks between them",
    ),
    Parameter("beyond_known", int, 160, "Pictures of each of these, at most.", "pictures", low=20, high=10_000_000),
    Parameter(
        "new",
        str,
        "auto",
        "Classes of temporary learning: auto, an outside set, own (classes of the set itself, held out), none.",
        pattern=r"[A-Za-z0-9_][A-Za-z0-9_.-]*",
        words="auto, own, none, or one of the outside sets",
    ),
    Parameter(
        "regions",
        str,
        "oracle",
        "Who says where the object is; oracle knows, for parts alone.",
        choices=("oracle", "full", "center", "felzenszwalb", "detector"),
    ),
    Parameter("center_share", float, 0.7, "Side of the centre box, share of the picture's.", low=0.05, high=1),
    Parameter("segment_scale", float, 100.0, "Scale of Felzenszwalb's segments.", low=1e-6, high=1e6),
    Parameter("segment_rule", str, "salient", "Which segment is the region.", choices=("salient", "largest")),
    Parameter(
        "detector",
        str,
        "IDEA-Research/grounding-dino-tiny",
        "Open-set detector of transformers: a name of its hub, or a folder.",
    ),
    Parameter("box_threshold", float, 0.35, "Least score of a detector's box.", low=0, high=1),
    Parameter("text_threshold", float, 0.25, "Least score of a word for it.", low=0, high=1),
    Parameter(
        "segmenter",
        str,
        "none",
        "SAM, which draws a detector's box tight about its mask: none, a name of the hub of transformers, or a folder.",
    ),
    Parameter(
        "kept",
        str,
        "all",
        "Pictures that symbols are built from and read on: all, or those whose region the second look certifies.",
        choices=("all", "certified"),
    ),
    Parameter("margin", float, 0.0, "Surroundings in the second look, share of each side of the box.", low=0, high=10),
    Parameter("pad", bool, False, "Keep the proportions of the region in the second look; else it is stretched."),
    Parameter("pooling", str, "max", "How responses are pooled to 3 x 3 cells.", choices=("max", "mean")),
    Parameter("joined", bool, False, "One vector, and one symbol, for all nine cells."),
    Parameter("neighbors", int, 15, "Neighbours of UMAP.", "vectors", low=2, high=1000),
    Parameter("min_dist", float, 0.1, "Least distance of points in UMAP's embedding.", low=0, high=1),
    Parameter("metric", str, "euclidean", "Distance by which UMAP finds neighbours.", choices=("euclidean", "cosine")),
    Parameter(
        "layout_steps",
        int,
        200,
        "Passes of UMAP's layout; the library's own for few vectors is 500.",
        low=1,
        high=10_000,
    ),
    Parameter("most", int, 1000, "Symbols of a stage, at most.", "symbols", low=2, high=100_000),
    Parameter("backend", str, "innercodes", "Who does X-means.", choices=("innercodes", "pyclustering")),
    Parameter(
        "map_from",
        str,
        "label and prediction agree",
        "Fitted pictures that the map is built from.",
        choices=("label and prediction agree", "label"),
    ),
    Parameter("permutations", int, 199, "Permutations behind a chance level.", "draws", low=19, high=100_000),
    Parameter("shot_draws", int, 20, "Draws of the examples of new classes.", "draws", low=1, high=10_000),
    Parameter(
        "attack_size", float, 0.03137254901960784, "Half-width of the attack's box, pixels in [0, 1].", low=0, high=1
    ),
    Parameter("attack_steps", int, 20, "Steps of the attack.", "steps", low=1, high=10_000),
    Parameter("attack_step", float, 0.1, "Length of a step, as a share of the half-width.", low=0, high=10),
    Parameter("attack_samples", int, 64, "Unseen pictures that are attacked.", "pictures", low=4, high=100_000),
    Parameter(
        "evasion_weights",
        str,
        "0 1 10 100",
        "Weights of the symbols in the attack that also raises their score.",
        pattern=r"\d+(\.\d+)?( \d+(\.\d+)?)*",
        words="numbers from 0 on with blanks between them",
    ),
    Parameter("replaced", int, 60, "Pictures of the causal test; 0: leave it out.", "pictures", low=0, high=100_000),
    Parameter("universes", int, 9, "Embeddings of other choices that are tried; 0: none.", low=0, high=1000),
    Parameter(
        "beyond",
        str,
        "vit48",
        "Other architectures, or none.",
        pattern=r"none|[A-Za-z0-9_./-]+( [A-Za-z0-9_./-]+)*",
        words="none, or names of innercodes.models or of timm with blanks between them",
    ),
    Parameter("beyond_weights", str, "", "File with the weights of that architecture.", path="file or folder"),
    Parameter(
        "retrained",
        str,
        "resnet8",
        "Network that is watched while it learns, once for each seed; none leaves this out.",
        pattern=r"[a-z0-9_]+",
        words="none or a network of innercodes.models",
    ),
    Parameter("retrained_epochs", int, 5, "Passes in which it is trained here.", "passes", low=1, high=10_000),
    Parameter(
        "domain",
        str,
        "tictactoe",
        "Another domain than pictures.",
        choices=("tictactoe", "breast_cancer", "wine", "docstrings", "sst2", "none"),
    ),
    Parameter("domain_samples", int, 700, "Its samples that symbols are built from, at most.", low=50, high=1_000_000),
    Parameter("bootstrap", int, 2000, "Resamples behind an interval.", "draws", low=100, high=1_000_000),
    Parameter("show_examples", bool, True, "Draw pictures; only those of embedded data are ever drawn."),
)


CHAPTERS["05_four_lenses"] = (
    *COMMON,
    Parameter(
        "dataset",
        str,
        "parts",
        "The pictures: parts, or a folder below data_root with <split>/<class>/ folders of files.",
        pattern=r"[A-Za-z0-9_][A-Za-z0-9_.-]*",
        words="parts, or the name of a folder below data_root",
    ),
    UNREADABLE,
    Parameter(
        "model",
        str,
        "resnet8",
        "The network; NAME or timm/NAME takes any network of timm.",
        pattern=r"(timm/)?[A-Za-z0-9][A-Za-z0-9_.-]*",
        words="a network of innercodes.models or of timm",
    ),
    Parameter("pretrained", bool, False, "Fetch timm's weights from its hub; this needs the internet."),
    Parameter("shipped", bool, True, "Take the networks of parts that come with the book; else they are trained here."),
    Parameter(
        "beyond",
        str,
        "vit48",
        "Other architectures, or none.",
        pattern=r"none|[A-Za-z0-9_./-]+( [A-Za-z0-9_./-]+)*",
        words="none, or names of innercodes.models or of timm with blanks between them",
    ),
    Parameter("beyond_weights", str, "", "File with the weights of that architecture.", path="file or folder"),
    Parameter(
        "retrained",
        str,
        "resnet8",
        "Network that has twins on shuffled labels and with dropout, once for each seed; none leaves this out.",
        pattern=r"[a-z0-9_]+",
        words="none or a network of innercodes.models",
    ),
    Parameter("retrained_epochs", int, 5, "Passes in which it is trained here.", "passes", low=1, high=10_000),
    Parameter(
        "size", int, 48, "Side of the pictures of a network that does not say its own.", "pixels", low=32, high=512
    ),
    Parameter(
        "trained_on",
        int,
        5000,
        "Pictures that a network is trained on here, at most.",
        "pictures",
        low=32,
        high=10_000_000,
    ),
    Parameter("epochs", int, 5, "Passes in which a network is trained here.", "passes", low=1, high=100_000),
    Parameter("learning_rate", float, 0.1, "Learning rate at the start; it ends at a tenth.", low=1e-8, high=10),
    Parameter("train_batch", int, 32, "Pictures of a step of training.", "pictures", low=2, high=100_000),
    Parameter(
        "stages",
        str,
        "auto",
        "Stages that are looked at, shallow to deep; auto takes up to `most_stages`.",
        pattern=r"auto|[^\s]+( [^\s]+)+",
        words="auto, or two and more names of modules with blanks between them",
    ),
    Parameter("most_stages", int, 4, "Stages of a network that auto takes, at most.", "stages", low=2, high=100),
    Parameter(
        "fitted", int, 192, "Pictures that all lenses are fitted on, at most.", "pictures", low=20, high=10_000_000
    ),
    Parameter("unseen", int, 640, "Other pictures of the same classes, at most.", "pictures", low=20, high=10_000_000),
    Parameter("read", int, 256, "Unseen pictures whose symbols are read, at most.", "pictures", low=20, high=10**7),
    Parameter(
        "outside",
        str,
        "auto",
        "Sets of none of the known classes: auto (those of parts), none, or folders below data_root.",
        pattern=r"[A-Za-z0-9_][A-Za-z0-9_.-]*( [A-Za-z0-9_][A-Za-z0-9_.-]*)*",
        words="auto, none, or names of folders below data_root with blanks between them",
    ),
    Parameter("beyond_known", int, 20, "Pictures of each of these, at most.", "pictures", low=4, high=10_000_000),
    Parameter(
        "regions",
        str,
        "oracle",
        "Who says where the object is; oracle knows, for parts alone.",
        choices=("oracle", "full", "center", "felzenszwalb"),
    ),
    Parameter("center_share", float, 0.7, "Side of the centre box, share of the picture's.", low=0.05, high=1),
    Parameter("pooling", str, "max", "How responses are pooled to 3 x 3 cells.", choices=("max", "mean")),
    Parameter("neighbors", int, 15, "Neighbours of UMAP.", "vectors", low=2, high=1000),
    Parameter("min_dist", float, 0.1, "Least distance of points in UMAP's embedding.", low=0, high=1),
    Parameter(
        "layout_steps",
        int,
        200,
        "Passes of UMAP's layout; the library's own for few vectors is 500.",
        low=1,
        high=10_000,
    ),
    Parameter("most", int, 1000, "Symbols of a stage, at most.", "symbols", low=2, high=100_000),
    Parameter("symbol_count", int, 32, "Symbols of each stage where all have as many.", "symbols", low=2, high=10_000),
    Parameter(
        "map_from",
        str,
        "label and prediction agree",
        "Fitted pictures that the map is built from.",
        choices=("label and prediction agree", "label"),
    ),
    Parameter("permutations", int, 49, "Permutations behind a chance level.", "draws", low=19, high=100_000),
    Parameter(
        "coding",
        str,
        "normalised",
        "How maps become codes.",
        choices=("normalised", "raw", "without centre", "z-scored"),
    ),
    Parameter("grid", int, 10, "Side of the map.", "units", low=2, high=200),
    Parameter("sigma", float, 5.0, "Width of the neighbourhood at the start.", "units", low=1e-6, high=1000),
    Parameter("alpha", float, 0.1, "Rate of the map at the start.", low=1e-6, high=1),
    Parameter("som_epochs", int, 5, "Passes of the map over its pictures.", "passes", low=1, high=10_000),
    Parameter("batch_size", int, 1, "Codes of one step of the map.", "codes", low=1, high=100_000),
    Parameter("best_units", int, 10, "Best units that stand for a picture.", "units", low=1, high=100),
    Parameter(
        "columns",
        int,
        500,
        "Values of a stage that are kept for its spectrum, at most.",
        "values",
        low=60,
        high=100_000,
    ),
    Parameter(
        "window",
        str,
        "10 50",
        "First and last rank of the power law.",
        pattern=r"[1-9]\d{0,3} [1-9]\d{0,3}",
        words="two whole numbers from 1 to 9999 with a blank between them",
    ),
    Parameter("frames", int, 100, "Frames of the moving dot.", "frames", low=8, high=100_000),
    Parameter("projections", int, 200, "Random projections of a stage.", "draws", low=20, high=1_000_000),
    Parameter("repeats", int, 4, "Resamplings behind an interval.", "draws", low=3, high=1000),
    Parameter(
        "n_players",
        int,
        6,
        "Patches of a picture that can be masked; a picture has 2^n masked outputs.",
        low=4,
        high=16,
    ),
    Parameter("mask_value", float, 0.5, "What a masked patch is replaced by.", low=-1e6, high=1e6),
    Parameter(
        "samples",
        int,
        32,
        "Unseen pictures whose masked outputs are computed, and that are attacked.",
        low=4,
        high=100_000,
    ),
    Parameter(
        "attack_size", float, 0.03137254901960784, "Half-width of the attack's box, pixels in [0, 1].", low=0, high=1
    ),
    Parameter("attack_steps", int, 10, "Steps of the attack.", "steps", low=1, high=10_000),
    Parameter("attack_step", float, 0.2, "Length of a step, as a share of the half-width.", low=0, high=10),
    Parameter(
        "warned", int, 50, "Errors, and right predictions, that lenses are asked about, at most.", low=4, high=100_000
    ),
    Parameter("silenced", float, 0.2, "Share of a stage's units that are silenced.", low=0.01, high=0.99),
    Parameter(
        "units", int, 64, "Units of each kind that are matched with parts, at most the channels.", low=4, high=100_000
    ),
    Parameter("active", int, 4, "Units of the sparse autoencoder that may speak at once.", "units", low=1, high=1000),
    Parameter("sparse_steps", int, 1000, "Steps that train a sparse autoencoder.", "steps", low=1, high=10_000_000),
    Parameter("bootstrap", int, 1000, "Resamples behind an interval.", "draws", low=100, high=1_000_000),
    Parameter("show_examples", bool, True, "Draw pictures; only those of embedded data are ever drawn."),
)


@dataclass(frozen=True)
class Run:
    """A checked set of parameters: every value by name, the device, the seeds and whether bars are shown."""

    chapter: str
    values: Mapping[str, Any]
    device: torch.device
    seeds: tuple[int, ...]
    bars: bool

    def __getattr__(self, name: str) -> Any:
        # `values` itself is missing while a copy is made.
        if name == "values" or name not in self.values:
            raise AttributeError(name)
        return self.values[name]

    def _repr_html_(self) -> str:
        return table(self.chapter, self.values)


def check(chapter: str, namespace: Mapping[str, Any]) -> Run:
    """Check a notebook's parameters both ways, set the number of threads and return the run.

    `namespace` is the notebook's `globals()`. Refused by ParameterError: a parameter that is missing, one that the chapter
    does not know, one that was given but not used (its cell lost the tag `parameters`), and any value not allowed.
    In a notebook only what its parameter cells set is looked at, so that a cell can be run again; elsewhere every name.
    """
    declared = {p.name: p for p in CHAPTERS[chapter]}
    given, names = _given(namespace.get("In")), _plain_names(namespace)
    if isinstance(namespace.get("In"), list):
        names = itertools.chain(given, _own_cell(namespace["In"]))
    for name in names:
        if name not in declared:
            raise ParameterError(f"{name}: {chapter} has no such parameter; it takes {', '.join(declared)}")
    values = {}
    for name, parameter in declared.items():
        if name not in namespace:
            raise ParameterError(f"{name}: missing from the notebook's parameters cell")
        values[name] = namespace[name]
        if name in given and _was_overridden(namespace["In"]) and not _same(given[name], values[name]):
            raise ParameterError(
                f"{name} = {given[name]!r} was given, but the notebook uses {values[name]!r}: its cell has lost the tag 'parameters'"
            )
        parameter.check(values[name])
    _check_memory(declared.values(), values)
    device = resolve_device(values["device"])
    _check_writable(values["out_dir"])
    torch.set_num_threads(values["threads"])
    return Run(
        chapter,
        values,
        device,
        tuple(values["seed"] + i for i in range(values["n_seeds"])),
        values["progress"] != "off",
    )


def resolve_device(name: str) -> torch.device:
    """`auto` or a torch device name to the device, or ParameterError when this machine has no such device."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        cards = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
        raise refusal("device", name, f"a device of this machine: {', '.join(['auto', 'cpu', *cards])}") from None
    return device


def table(chapter: str, values: Mapping[str, Any] | None = None) -> str:
    """The chapter's parameters as an HTML table, with the values of a run where they are given."""
    rows = [
        (
            Html(f"<code>{p.name}</code>"),
            p.kind.__name__,
            Html(f"<code>{html.escape(repr(values[p.name] if values else p.default))}</code>"),
            p.allowed + (f", {p.unit}" if p.unit else ""),
            p.meaning,
        )
        for p in CHAPTERS[chapter]
    ]
    shown = "Value here" if values else "Default"
    return tables.table(("Parameter", "Type", shown, "Allowed", "Meaning"), rows, label=f"parameters of {chapter}")


def _check_memory(declared: Iterable[Parameter], values: Mapping[str, Any]) -> None:
    free = psutil.virtual_memory().available
    for parameter in declared:
        needed = parameter.memory(values) if parameter.memory else 0
        if needed > free:
            raise refusal(
                parameter.name,
                values[parameter.name],
                f"smaller: this run would need {needed / 2**30:,.1f} GiB of memory and {free / 2**30:,.1f} GiB are free",
            )


def _check_writable(out_dir: str) -> None:
    """Make the folder now: a run must not find out at its end that it can not be written."""
    folder = Path(out_dir).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError:
        raise refusal("out_dir", out_dir, "a folder that is there, or can be made, and can be written") from None


def _plain_names(namespace: Mapping[str, Any]) -> Iterable[str]:
    for name, value in namespace.items():
        if not name.startswith("_") and not callable(value) and not isinstance(value, ModuleType):
            yield name


_INJECTED = "# Parameters\n"


def _assignments(source: str) -> dict[str, Any]:
    """The plain assignments of a cell."""
    try:
        body = ast.parse(source).body
    except SyntaxError:
        return {}
    plain = [node for node in body if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)]
    return {node.targets[0].id: _literal(node.value) for node in plain}


def _given(cells: Any) -> dict[str, Any]:
    """What papermill injected, read from IPython's record of the cells run so far."""
    injected = [cell for cell in cells if cell.startswith(_INJECTED)] if isinstance(cells, list) else []
    return {name: value for cell in injected for name, value in _assignments(cell).items()}


def _own_cell(cells: list[str]) -> dict[str, Any]:
    """The notebook's own parameters cell, as it was run last."""
    own = [cell for cell in cells if "preset" in _assignments(cell) and not cell.startswith(_INJECTED)]
    return _assignments(own[-1]) if own else {}


def _was_overridden(cells: list[str]) -> bool:
    """Whether the injected cell ran before the notebook's own, which then had the last word: its tag is missing."""
    first = next(
        (i for i, cell in enumerate(cells) if "preset" in _assignments(cell) and not cell.startswith(_INJECTED)), 0
    )
    return next(i for i, cell in enumerate(cells) if cell.startswith(_INJECTED)) < first


def _literal(node: ast.expr) -> Any:
    try:
        # papermill writes NaN and infinity as float('nan').
        return float(node.args[0].value) if isinstance(node, ast.Call) else ast.literal_eval(node)
    except (AttributeError, IndexError, TypeError, ValueError):
        return None


def _same(a: Any, b: Any) -> bool:
    return (a == b and type(a) is type(b)) or (
        isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b)
    )
