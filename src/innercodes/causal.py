"""Causal language models for chapter 04: the networks, the texts they read, and what their layers say to each token.

Source: Marshall & Kirchner 2024, figure 7, called "the paper" below. The paper reads GPT-2 XL; any causal
language model of the GPT-2 or Llama type can take its place, a small one that workflow/language_model.py trains too.
"""

import ast
import importlib.util
import json
import re
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from innercodes import language, spectra
from innercodes.parameters import ParameterError, refusal
from innercodes.text import _docstrings

SITES = ("mlp", "residual")
"""Where activations are read: MLP units after the non-linearity, or the residual stream after each block."""

PACKAGES = ("matplotlib", "networkx", "numpy", "pandas", "scipy", "skimage", "sklearn", "sympy")
"""The scientific packages whose docstrings the small model was trained on, and reads."""

DOCSTRING_MODEL = Path(__file__).parent / "checkpoints" / "docstring_lm"
"""The small model that comes with the book; workflow/language_model.py trained it."""

HELD_OUT = 8
"""One file in so many is held out of the training."""

SHORTEST = 250
"""Characters of the shortest text: at the small model's 2.9 characters a token, more than 64 tokens."""


# Networks


def load(
    name_or_folder: str, device: torch.device | str = "cpu", untrained_seed: int | None = None
) -> tuple[nn.Module, Any]:
    """A causal language model of transformers, float32, and its tokenizer.

    "docstrings" is the one that comes with the book; anything else is a folder that transformers wrote, or a name on
    the Hugging Face hub. With `untrained_seed` its twin: the same configuration with random weights from this seed.
    Weights come from safetensors or, for old models, from torch files read without running code. Raises ParameterError
    for what cannot be read.
    """
    source = DOCSTRING_MODEL if name_or_folder == "docstrings" else Path(name_or_folder).expanduser()
    if not name_or_folder.strip():
        raise refusal("model", name_or_folder, "docstrings, a folder or a name on the Hugging Face hub")
    local = name_or_folder == "docstrings" or source.exists()
    where = ("", str(source)) if local else (language.HUB + name_or_folder, "")
    if untrained_seed is None:
        network, tokenizer = language.load(*where, device)
    else:
        network, tokenizer = language.untrained(*where, untrained_seed, device), _tokenizer(*where)
    return network.model, tokenizer


def _tokenizer(model: str, weights: str) -> Any:
    source, local = language._source(model, weights)
    with language._told(model, weights):
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(source, local_files_only=local, trust_remote_code=False)


def random_tokens(model: nn.Module, count: int, length: int, seed: int = 0) -> Tensor:
    """Texts of tokens drawn evenly from the vocabulary, the baseline without language: int64 (count, length).

    Raises ValueError for texts longer than the network takes.
    """
    positions = model.config.max_position_embeddings
    if not 1 <= length <= positions or count < 1:
        raise ValueError(f"count = {count}, length = {length}: must be at least 1, and length at most {positions}")
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(model.get_input_embeddings().num_embeddings, (count, length), generator=generator)


# Activations


@dataclass(frozen=True)
class Reading:
    """What layers say to the tokens of some texts, text after text.

    `layers`: number of the layer, from 0, to float32 (N, units); `tokens` int64 (N,), the tokens; `text_index` int64
    (N,), the text each token stands in, by its place among the texts. All on the CPU.
    """

    layers: dict[int, Tensor]
    tokens: Tensor
    text_index: Tensor


def activations(
    model: nn.Module,
    tokenizer: Any,
    texts: Sequence[str] | Tensor,
    site: str = "mlp",
    tokens: int = 64,
    most_tokens: int = 100_000,
    *,
    layers: Sequence[int] | None = None,
    skip: int = 0,
    batch_size: int = 32,
) -> Reading:
    """One pass over texts, the first `tokens` tokens of each: what the layers say to every token.

    `texts` are strings, or tokens int64 (texts, L) as `random_tokens` gives them. Reading stops when `most_tokens` are
    kept. `site` is "mlp", the units after the non-linearity: what goes into the MLP's last linear layer (GELU's output
    in GPT-2, the gated product in networks of the Llama type); or "residual", the residual stream after a block.
    `layers` are the layers kept (default: all); a token of GPT-2 XL's MLP takes 25.6 kB a layer. Padding is left out,
    and so are special tokens that the tokenizer puts in front and the first `skip` tokens of each text, since many
    networks answer the first token, whatever it is, with huge activations.

    Raises ValueError for a text without tokens, for texts longer than the network takes, for unknown sites and layers,
    and for a network that is neither of the GPT-2 nor of the Llama type.
    """
    blocks, last_linear = _blocks(model)
    if site not in SITES:
        raise ValueError(f"site = {site!r}: must be one of {', '.join(SITES)}")
    layers = range(len(blocks)) if layers is None else layers
    for layer in layers:
        if not 0 <= layer < len(blocks):
            raise ValueError(f"layers = {list(layers)}: must be among 0 ... {len(blocks) - 1}")
    positions = model.config.max_position_embeddings
    if not 1 <= tokens <= positions:
        raise ValueError(f"tokens = {tokens}: must be in 1 ... {positions}, all that the network takes")
    if most_tokens < 1 or skip < 0:
        raise ValueError(f"most_tokens = {most_tokens}, skip = {skip}: must be at least 1 and 0")

    rows, starts = _rows(tokenizer, texts, tokens, skip)
    # The last text that is read may be cut short; no text after it is read.
    lengths = torch.tensor([max(0, len(row) - start) for row, start in zip(rows, starts, strict=True)])
    count = int((lengths.cumsum(0) < most_tokens).sum()) + 1
    rows, starts, lengths = rows[:count], starts[:count], lengths[:count]
    if not lengths.sum():
        raise ValueError(f"skip = {skip}: must leave some tokens; the longest text has {max(map(len, rows))}")

    modules = {layer: last_linear(blocks[layer]) if site == "mlp" else blocks[layer] for layer in layers}
    found: dict[int, list[Tensor]] = {layer: [] for layer in layers}
    device = next(model.parameters()).device
    for batch in torch.arange(len(rows)).split(batch_size):
        width = max(len(rows[i]) for i in batch)
        # Padding stands at the right, where no token before it sees it: no mask is needed.
        inputs = torch.tensor([rows[i] + [0] * (width - len(rows[i])) for i in batch])
        wanted = torch.tensor([[starts[i] <= place < len(rows[i]) for place in range(width)] for i in batch])
        for layer, out in _one_pass(model, modules, inputs.to(device), site).items():
            found[layer].append(out.cpu()[wanted].float())
    read = [token for row, start in zip(rows, starts, strict=True) for token in row[start:]]
    return Reading(
        {layer: torch.cat(parts)[:most_tokens].clone() for layer, parts in found.items()},
        torch.tensor(read[:most_tokens]),
        torch.repeat_interleave(torch.arange(len(rows)), lengths)[:most_tokens].clone(),
    )


def _one_pass(model: nn.Module, modules: Mapping[int, nn.Module], inputs: Tensor, site: str) -> dict[int, Tensor]:
    """What goes into the modules (site mlp) or comes out of them: tokens int64 (B, L) to (B, L, units) of each."""
    said: dict[int, Tensor] = {}

    def keep(layer: int, value: Any) -> None:
        said[layer] = value[0] if isinstance(value, tuple) else value

    hooks = [
        module.register_forward_pre_hook(lambda _, inputs, layer=layer: keep(layer, inputs))
        if site == "mlp"
        else module.register_forward_hook(lambda _, __, out, layer=layer: keep(layer, out))
        for layer, module in modules.items()
    ]
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            model.base_model(inputs, use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
        model.train(was_training)
    return said


def _blocks(model: nn.Module) -> tuple[nn.ModuleList, Any]:
    """The blocks of a network, and the last linear layer of a block's MLP."""
    base = model.base_model
    for blocks, linear in (("h", "c_proj"), ("layers", "down_proj")):
        found = getattr(base, blocks, None)
        if found is not None and hasattr(getattr(found[0], "mlp", None), linear):
            return found, lambda block, linear=linear: getattr(block.mlp, linear)
    raise ValueError(f"model = {type(model).__name__}: must be of the GPT-2 or the Llama type")


def _rows(tokenizer: Any, texts: Sequence[str] | Tensor, tokens: int, skip: int) -> tuple[list[list[int]], list[int]]:
    """The first tokens of each text, and where those that are kept begin, after special ones and `skip` others."""
    if not len(texts):
        raise ValueError("texts = []: must be at least one text")
    if isinstance(texts, Tensor):
        return texts[:, :tokens].tolist(), [skip] * len(texts)
    rows, starts = [], []
    for i, text in enumerate(texts):
        encoded = tokenizer(text, return_special_tokens_mask=True, verbose=False)
        ids, special = list(encoded.input_ids), list(encoded.special_tokens_mask)
        if 0 not in special:
            raise ValueError(f"texts[{i}] = {text[:40]!r}: must have at least one token")
        front = special.index(0)
        # Special tokens behind a text are not read.
        rows.append((ids[:front] + [t for t, mark in zip(ids, special, strict=True) if not mark])[:tokens])
        starts.append(front + skip)
    return rows, starts


# Spectra


@dataclass(frozen=True)
class LayerAlpha:
    """The slope of a layer's spectrum, debiased, and its values float64 (draws,) on texts drawn with replacement."""

    value: float
    replicates: Tensor


def layer_alphas(
    acts: dict[int, Tensor], text_index: Tensor, seed: int = 0, draws: int = 20, window: tuple[int, int] = (10, 50)
) -> dict[int, LayerAlpha]:
    """Debiased alpha of every layer with a bootstrap over texts (figure 7a).

    `acts` and `text_index` as in a `Reading`. Each draw takes as many texts as there are, with replacement, the same
    for all layers, and all tokens of each: tokens of one text are no independent samples. Draws hold texts twice, which
    shifts their mean; only their spread is of use, as in `stats.replicated`. Raises ValueError for fewer than 2 texts
    and as `spectra.debiased_alpha` does.
    """
    places = [torch.nonzero(text_index == text).flatten() for text in text_index.unique()]
    if len(places) < 2 or draws < 0:
        raise ValueError(f"text_index, draws = {len(places)} texts, {draws}: must be at least 2 texts and 0 draws")
    generator = torch.Generator().manual_seed(seed)
    picks = [torch.randint(len(places), (len(places),), generator=generator).tolist() for _ in range(draws)]
    rows = [torch.cat([places[i] for i in pick]) for pick in picks]
    return {
        layer: LayerAlpha(
            spectra.debiased_alpha(values, window, seed),
            torch.tensor([spectra.debiased_alpha(values[row], window, seed) for row in rows], dtype=torch.float64),
        )
        for layer, values in acts.items()
    }


# Texts


FILES = {"tinystories": "tinystories_1000.json", "wikitext": "wikitext_1000.json"}
"""Sets of texts below data_root: a list of strings each."""


def texts(name: str, root: str = "", seed: int = 0) -> list[str]:
    """Texts to read, in random order from the seed.

    "docstrings", held out of the small model's training, or one of FILES below root/text. Raises ParameterError for a
    name that is neither, and for a file that is missing or holds anything but texts that are not blank.
    """
    if name == "docstrings":
        found = docstring_texts(held_out=True)
    elif name in FILES:
        found = _read(Path(root).expanduser() / "text" / FILES[name], root)
    else:
        raise refusal("dataset", name, f"one of docstrings, {', '.join(FILES)}")
    order = torch.randperm(len(found), generator=torch.Generator().manual_seed(seed))
    return [found[i] for i in order.tolist()]


def _read(file: Path, root: str) -> list[str]:
    if not root or not file.is_file():
        raise refusal("data_root", root, f"the folder that holds text/{file.name}")
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, list) or not found or not all(isinstance(text, str) and text.strip() for text in found):
        raise ParameterError(
            f"data_root = {file.name!r}: must be a folder whose {file.name} is a list of texts that are not empty"
        )
    return found


def docstring_texts(held_out: bool) -> list[str]:
    """The prose of docstrings of installed scientific packages, a text for each docstring. Nothing is downloaded.

    A whole file is either held out or not, by a hash of its name, and no paragraph is there twice. The training texts
    hold no paragraph that a held-out text holds. Held-out texts have at least SHORTEST characters; training texts may
    be shorter. Same installed versions, same texts, in the same order. Raises ParameterError for packages that are not
    installed.
    """
    seen = set() if held_out else {part for parts in _paragraphs(True) for part in parts}
    texts = []
    for parts in _paragraphs(held_out):
        fresh = [part for part in dict.fromkeys(parts) if part not in seen]
        seen.update(fresh)
        text = " ".join(fresh)
        if len(text) >= (SHORTEST if held_out else 1):
            texts.append(text)
    return texts


def _paragraphs(held_out: bool) -> Iterator[list[str]]:
    """The paragraphs of prose of each docstring of the files on one side of the split."""
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise refusal("dataset", "docstrings", f"another one: the package {package} is not installed")
        root = Path(spec.origin).parent
        for file in sorted(root.rglob("*.py")):
            name = f"{package}/{file.relative_to(root).as_posix()}"
            # A hash of the name, not a place in the list: a new file of a later version moves no other one.
            if re.search("test|extern|_vendor", name) or (zlib.crc32(name.encode()) % HELD_OUT == 0) != held_out:
                continue
            with warnings.catch_warnings():
                # Other people's odd backslashes.
                warnings.simplefilter("ignore")
                tree = ast.parse(file.read_bytes())
            for docstring in _docstrings(tree):
                parts = [plain for part in re.split(r"\n\s*\n", docstring) if (plain := _plain(part))]
                if parts:
                    yield parts


MARKUP = re.compile(r":[a-z:]+:`~?([^`<]*)(?: <[^`]*>)?`")
"""A cross-reference of Sphinx, of which the text stays."""

PROSE = re.compile(r"[A-Z][A-Za-z0-9 ,;:'()_./=\"<>%+-]*[.]")
"""A paragraph that begins and ends as a sentence does, and holds no signs of other markup."""


def _plain(paragraph: str) -> str:
    """A paragraph as plain text on one line, or nothing where it is no prose: a heading, a table, code, a list."""
    text = " ".join(MARKUP.sub(r"\1", paragraph).replace("`", "").replace("*", "").split())
    letters = sum(character.isalpha() or character == " " for character in text)
    code = any(sign in text for sign in (">>>", "---", "::", "=="))
    return text if PROSE.fullmatch(text) and not code and letters >= 0.9 * len(text) and text.count(" ") >= 5 else ""
