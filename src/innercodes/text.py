"""Games whose players are words: sentences for a classifier, and prompts for a causal language model.

A masked word of a classifier's sentence becomes the padding (the paper: the LSTM's padding embedding); a masked word of a
prompt becomes one learned embedding, for which its tokens hold -1. All other tokens stay as they are.
Source of the protocols: Ren, Gao, Shen & Zhang (ICLR 2024), Appendix D, called "the paper" below.
"""

import ast
import csv
import importlib.util
import json
import re
import string
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS
from torch import Tensor

from innercodes import data, language
from innercodes.language import MASKED, NO_TOKEN
from innercodes.parameters import ParameterError, Run, refusal
from innercodes.players import Game

PADDING, UNKNOWN = 0, 1
"""Token ids of a classifier's vocabulary: padding, which also stands for a masked word, and a word not in it."""

WIDTH = 24
"""Tokens of a classifier's sentence, or twice the number of players where that is more."""

VOCABULARY = 10_000
"""Largest vocabulary, with the padding and the unknown word."""


@dataclass(frozen=True)
class WordMask:
    """Masks the words of a game's samples; this is the `masked` of every game made here.

    `tokens` int64 (samples, L) are padded at the left, and sample i begins at `starts[i]`. `owners`, int64 (samples, L),
    holds the player that each token belongs to, -1 for background. `words` are the players in plain text, n for each
    sample, and `texts` the whole sentences.
    """

    tokens: Tensor
    owners: Tensor
    starts: tuple[int, ...]
    fill: int
    words: tuple[tuple[str, ...], ...]
    texts: tuple[str, ...]

    def __call__(self, sample: int, masks: Tensor) -> Tensor:
        """Masks bool (m, n), True = shown, to tokens int64 (m, 1, length of the sample)."""
        start = self.starts[sample]
        tokens, owners = self.tokens[sample, start:], self.owners[sample, start:]
        hidden = ~masks[:, owners.clamp(min=0)] & (owners >= 0)
        return torch.where(hidden, self.fill, tokens)[:, None]


# Sentences for a classifier


PACKAGES = {
    "sklearn": ("machine learning", r"sklearn|scikit"),
    "networkx": ("graphs", r"networkx"),
}
"""The packages whose docstrings are read: what they are about, and their own names, which no sentence may hold."""


@dataclass(frozen=True)
class Sentences:
    """Tokens and class, int64 (N,), of sentences, with the name of each class."""

    tokens: list[list[str]]
    labels: Tensor
    classes: tuple[str, ...]


def docstrings(run: Run) -> Game:
    """Sentences from the docstrings of installed packages; the class is the package. Nothing is downloaded.

    Raises ParameterError for packages that are not installed and for more samples than there are.
    """
    train, test = docstring_sentences()
    return _classify(run, train, test)


def sst2(run: Run) -> Game:
    """Phrases of film reviews, good or bad: root/text/sst2_train.tsv to learn from, sst2_dev.tsv to explain (GLUE)."""
    folder = _folder(run, ("sst2_train.tsv", "sst2_dev.tsv"))
    return _classify(run, _read_tsv(folder / "sst2_train.tsv"), _read_tsv(folder / "sst2_dev.tsv"))


def sst2_tokens(run: Run) -> tuple[data.Data, data.Data]:
    """The same phrases of at most `WIDTH` words, to learn from and others, as tokens int64 (N, WIDTH) of one vocabulary."""
    folder = _folder(run, ("sst2_train.tsv", "sst2_dev.tsv"))
    parts = [_read_tsv(folder / name) for name in ("sst2_train.tsv", "sst2_dev.tsv")]
    vocabulary = _vocabulary(parts[0].tokens)
    found = []
    for part in parts:
        short = [i for i, tokens in enumerate(part.tokens) if 0 < len(tokens) <= WIDTH]
        tokens = _encode([part.tokens[i] for i in short], vocabulary, WIDTH)
        found.append(data.Data(tokens, part.labels[short], part.classes))
    return found[0], found[1]


def docstring_sentences() -> tuple[Sentences, Sentences]:
    """All sentences for training and testing: a file's sentences are on one side, and no sentence is there twice.

    Same installed versions, same sentences, in the same order.
    """
    sides: dict[bool, dict[tuple[str, ...], int]] = {True: {}, False: {}}
    for label, (package, (_, names)) in enumerate(PACKAGES.items()):
        for file, sentence in _plain_sentences(package):
            tokens = tuple(re.findall(r"[a-z]+(?:['-][a-z]+)*|[^\sa-z]", sentence.lower()))
            if re.search(names, sentence.lower()) or any(tokens in side for side in sides.values()):
                continue
            # A hash of the name, not a place in the list: a new file of a later version moves no other one.
            sides[zlib.crc32(file.encode()) % 5 > 0][tokens] = label
    classes = tuple(about for about, _ in PACKAGES.values())
    return tuple(
        Sentences([list(tokens) for tokens in side], torch.tensor(list(side.values())), classes)
        for side in sides.values()
    )


PLAIN = re.compile(r"[A-Z][a-z]*(?:,? [A-Za-z][a-z]*(?:['-][a-z]+)*)+\.")
"""A sentence of words and commas: no code, no numbers, no formulas, no cross-references."""


def _plain_sentences(package: str) -> Iterator[tuple[str, str]]:
    """File and text of every plain sentence of 6 to 20 words in the docstrings of a package, which is not imported."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise refusal("dataset", "docstrings", f"another one: the package {package} is not installed")
    root = Path(spec.origin).parent
    for file in sorted(root.rglob("*.py")):
        name = file.relative_to(root).as_posix()
        if "tests/" in name or "externals/" in name:
            continue
        with warnings.catch_warnings():
            # Other people's odd backslashes.
            warnings.simplefilter("ignore")
            tree = ast.parse(file.read_bytes())
        for docstring in _docstrings(tree):
            for paragraph in re.split(r"\n\s*\n", docstring):
                # Titles, lists and tables are paragraphs too, but do not have the form of a sentence.
                for sentence in re.split(r"(?<=[.!?])\s+(?=[A-Z])", " ".join(paragraph.split())):
                    if 6 <= sentence.count(" ") + 1 <= WIDTH - 4 and PLAIN.fullmatch(sentence):
                        yield f"{package}/{name}", sentence


def _docstrings(node: ast.AST) -> Iterator[str]:
    """The docstrings of a module, and of the classes and functions in it."""
    yield ast.get_docstring(node) or ""
    for child in node.body:
        if isinstance(child, ast.ClassDef | ast.FunctionDef):
            yield from _docstrings(child)


def _read_tsv(file: Path) -> Sentences:
    """GLUE's SST-2: a header, then `sentence TAB label` with the tokens separated by blanks."""
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            # The sentences hold single quotation marks.
            rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
        return Sentences(
            [row["sentence"].split() for row in rows],
            torch.tensor([("0", "1").index(row["label"]) for row in rows]),
            ("bad", "good"),
        )
    except (OSError, ValueError, KeyError, AttributeError):
        raise refusal(
            "data_root", file.name, "a folder with this file in text/: sentence TAB label under a header"
        ) from None


def _classify(run: Run, train: Sentences, test: Sentences) -> Game:
    """The game of a classifier: `n_players` words of each sentence are the players, all of them where it has no more."""
    _check_mask_value(run)
    generator = torch.Generator().manual_seed(run.seed)
    width = max(WIDTH, 2 * run.n_players)
    short = torch.tensor([i for i, tokens in enumerate(train.tokens) if 0 < len(tokens) <= width])
    chosen = short[data.balanced(train.labels[short], run.train_size, generator)]
    vocabulary = _vocabulary([train.tokens[i] for i in chosen])

    positions = [[i for i, token in enumerate(tokens) if _is_word(token)] for tokens in test.tokens]
    candidates = [
        i
        for i, words in enumerate(positions)
        if len(words) >= run.n_players and len(test.tokens[i]) <= 2 * run.n_players
    ]
    if run.n_samples > len(candidates):
        raise refusal(
            "n_samples", run.n_samples, f"at most {len(candidates)}, the sentences of {run.dataset} with these players"
        )
    order = torch.randperm(len(candidates), generator=generator)[: run.n_samples]
    picked = [candidates[i] for i in order]
    tokens = [test.tokens[i] for i in picked]
    players = [_draw(positions[i], run.n_players, generator) for i in picked]
    owners = [
        [drawn.index(i) if i in drawn else -1 for i in range(len(t))] for t, drawn in zip(tokens, players, strict=True)
    ]

    inputs = _encode(tokens, vocabulary, width).to(run.device)
    mask = WordMask(
        inputs,
        _left_padded(owners, width, -1).to(run.device),
        (0,) * len(picked),
        PADDING,
        tuple(tuple(t[i] for i in drawn) for t, drawn in zip(tokens, players, strict=True)),
        tuple(" ".join(t) for t in tokens),
    )
    return Game(
        data.Data(
            _encode([train.tokens[i] for i in chosen], vocabulary, width).to(run.device),
            train.labels[chosen].to(run.device),
            train.classes,
        ),
        inputs,
        test.labels[picked].to(run.device),
        run.n_players,
        mask,
        {"vocabulary": len(vocabulary) + 2, "outputs": len(train.classes)},
        tuple(f"word {i + 1}" for i in range(run.n_players)),
    )  # fmt: skip


def _vocabulary(sentences: Sequence[Sequence[str]]) -> dict[str, int]:
    """The words seen at least twice, most frequent first, to ids from 2 on.

    The words seen once become "unknown" in training too, so that this word is learned.
    """
    counts = Counter(token for tokens in sentences for token in tokens)
    words = sorted((word for word, count in counts.items() if count > 1), key=lambda word: (-counts[word], word))
    return {word: i + 2 for i, word in enumerate(words[: VOCABULARY - 2])}


def _encode(sentences: Sequence[Sequence[str]], vocabulary: dict[str, int], width: int) -> Tensor:
    return _left_padded([[vocabulary.get(word, UNKNOWN) for word in words] for words in sentences], width, PADDING)


def _left_padded(rows: Sequence[Sequence[int]], width: int, fill: int) -> Tensor:
    """Rows of at most `width` numbers, right-aligned: int64 (rows, width)."""
    return torch.tensor([[fill] * (width - len(row)) + list(row) for row in rows])


def _draw(positions: Sequence[int], n: int, generator: torch.Generator) -> list[int]:
    """`n` of the positions at random, in their order."""
    return [positions[i] for i in torch.randperm(len(positions), generator=generator)[:n].sort().values]


# Prompts for a causal language model


@dataclass(frozen=True)
class Prompt:
    """A text whose next word is asked for, and its players as spans of characters, in order."""

    text: str
    players: tuple[tuple[int, int], ...]


def tinystories(run: Run) -> Game:
    """The beginnings of short stories, root/text/tinystories_1000.json, each cut before a meaningful word.

    The players are `n_players` of a prompt's meaningful words. Prompts have 3 words a player, as the paper's, and up to
    10 more until the next word is meaningful and no punctuation is near.
    """
    file = _folder(run, ("tinystories_1000.json",)) / "tinystories_1000.json"
    stories = _read_json(file)
    generator = torch.Generator().manual_seed(run.seed)
    prompts = (
        _cut(stories[i], run.n_players, generator) for i in torch.randperm(len(stories), generator=generator).tolist()
    )
    return _continue(run, prompts)


def squad(run: Run) -> Game:
    """The paper's 1000 prompts from SQuAD and their 10 players: sentence.txt and player_words.json in root/text/squad_prompts."""
    files = ("squad_prompts/sentence.txt", "squad_prompts/player_words.json")
    sentences, players = (_folder(run, files) / file for file in files)
    if run.n_players != 10:
        raise refusal("n_players", run.n_players, "10, the words that the paper chose")
    texts = sentences.read_text(encoding="utf-8").splitlines()
    words = _read_json(players)
    if len(texts) != len(words):
        raise refusal("data_root", players.name, f"a folder whose {players.name} has {len(texts)} rows, one a sentence")
    order = torch.randperm(len(texts), generator=torch.Generator().manual_seed(run.seed)).tolist()
    return _continue(run, (Prompt(texts[i], _find(texts[i], words[i])) for i in order))


def meaningful(word: str) -> bool:
    """Whether a word has a letter or digit and is no stop word (scikit-learn's English list)."""
    bare = word.strip().strip(string.punctuation + "“”‘’–—…").lower()
    return _is_word(bare) and bare not in ENGLISH_STOP_WORDS


def _is_word(token: str) -> bool:
    return any(character.isalnum() for character in token)


def _cut(story: str, n: int, generator: torch.Generator) -> Prompt | None:
    """The prompt of a story, or None where it has no fitting place to be cut."""
    words = list(re.finditer(r"\S+", story))
    for end in range(3 * n, min(3 * n + 10, len(words))):
        near = words[end - 5 : end]
        if meaningful(words[end].group()) and not any(word.group()[-1] in string.punctuation for word in near):
            spans = [word.span() for word in words[:end] if meaningful(word.group())]
            players = _draw(spans, n, generator) if len(spans) >= n else None
            return Prompt(story[: words[end - 1].end()], tuple(players)) if players else None
    return None


def _find(text: str, words: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """The spans of words that stand in a text in this order, each at the first place after the one before."""
    places = re.finditer(r"\S+", text)
    spans = tuple(place.span() for word in words if (place := next((p for p in places if p.group() == word), None)))
    if len(spans) < len(words):
        raise refusal("data_root", "player_words.json", "a folder whose words all stand in their sentences, in order")
    return spans


def _continue(run: Run, prompts: Iterator[Prompt | None]) -> Game:
    """The game of a language model: the first `n_samples` prompts whose predicted next token is a meaningful word.

    `labels` are None: what is explained is each network's own next token on the whole prompt. As in the paper, prompts
    whose predicted token is a stop word or punctuation are dropped; that is judged with the trained network.
    """
    _check_mask_value(run)
    network, tokenizer = language.load(run.model, run.weights, run.device)
    kept, rows, owners = [], [], []
    for prompt in prompts:
        if len(kept) == run.n_samples:
            break
        if prompt is None:
            continue
        tokens, owner = _tokenize(prompt, tokenizer, network.positions)
        with torch.no_grad():
            answer = int(network(torch.tensor([tokens], device=run.device)).argmax())
        if meaningful(tokenizer.decode([answer], skip_special_tokens=True)):
            kept.append(prompt), rows.append(tokens), owners.append(owner)
    if len(kept) < run.n_samples:
        raise refusal(
            "n_samples",
            run.n_samples,
            f"at most {len(kept)}, the prompts of {run.dataset} with these players and a word as answer",
        )
    width = max(map(len, rows))
    inputs = _left_padded(rows, width, NO_TOKEN).to(run.device)
    mask = WordMask(
        inputs,
        _left_padded(owners, width, -1).to(run.device),
        tuple(width - len(row) for row in rows),
        MASKED,
        tuple(tuple(prompt.text[a:b] for a, b in prompt.players) for prompt in kept),
        tuple(prompt.text for prompt in kept),
    )
    nothing = data.Data(inputs[:0], torch.zeros(0, dtype=torch.int64, device=run.device), ())
    names = tuple(f"word {i + 1}" for i in range(run.n_players))
    return Game(nothing, inputs, None, run.n_players, mask, {}, names)


def _tokenize(prompt: Prompt, tokenizer: Any, positions: int) -> tuple[list[int], list[int]]:
    """The tokens of a prompt and the player that each belongs to, -1 for none.

    A word may span several tokens; a token belongs to the player whose characters it holds. The blank before a word is
    part of its first token.
    """
    encoded = tokenizer(prompt.text, return_offsets_mapping=True)
    if len(encoded.input_ids) > positions:
        raise refusal(
            "n_players",
            len(prompt.players),
            f"smaller: a prompt has over {positions} tokens, all that the network takes",
        )
    owners = [
        next((p for p, (a, b) in enumerate(prompt.players) if start < b and end > a), -1)
        for start, end in encoded.offset_mapping
    ]
    return list(encoded.input_ids), owners


def _check_mask_value(run: Run) -> None:
    if run.mask_value != 0:
        raise refusal(
            "mask_value", run.mask_value, "0 where the players are words: a masked word has an embedding of its own"
        )


def _folder(run: Run, files: Sequence[str]) -> Path:
    """root/text, in which all the files are."""
    folder = Path(run.data_root).expanduser() / "text"
    if not run.data_root or not all((folder / file).is_file() for file in files):
        raise refusal(
            "data_root", run.data_root, f"the folder that holds {' and '.join(f'text/{file}' for file in files)}"
        )
    return folder


def _read_json(file: Path) -> list[Any]:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        raise ParameterError(f"data_root = {file.name!r}: must be a folder whose {file.name} is JSON") from None
