"""Networks that read words: a small LSTM classifier, and causal language models from transformers."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from innercodes.interactions import log_odds
from innercodes.parameters import ParameterError, refusal

MASKED, NO_TOKEN = -1, -2
"""In place of a token: a masked one, which gets the mask embedding, and none at all, which fills up a short row."""


class LSTM(nn.Module):
    """Two LSTM layers over words, and a linear layer on the state at the last position: Ren et al. 2024, Figure 14.

    Words int64 (B, L) to logits (B, outputs). Id 0 is padding and stands for a masked word too: its embedding is zero, and
    it is a time step as any other. So sentences are padded at the left to the one length that the network was trained on;
    the last position then always is the end of the sentence, and masking a word changes nothing but that word.
    """

    def __init__(self, vocabulary: int, outputs: int, embedding: int, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding, padding_idx=0)
        self.lstm = nn.LSTM(embedding, hidden, num_layers=2, batch_first=True)
        self.head = nn.Linear(hidden, outputs)

    def forward(self, words: Tensor) -> Tensor:
        states, _ = self.lstm(self.embedding(words))
        return self.head(states[:, -1])


def lstm(vocabulary: int = 10_000, outputs: int = 2, embedding: int = 64, hidden: int = 64) -> LSTM:
    """A two-layer LSTM classifier: words int64 (B, L) to logits (B, outputs)."""
    return LSTM(vocabulary, outputs, embedding, hidden)


class CausalLM(nn.Module):
    """A transformers language model that sees one embedding in place of every masked token.

    Tokens int64 (B, L), MASKED where masked, to the logits of the next token (B, vocabulary). All rows of a batch have
    the same length: ValueError for NO_TOKEN. The weights are fixed; `mask_embedding`, (embedding,), is a buffer that
    begins as the mean of all token embeddings and is learned by `learn_mask_embedding`.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model.requires_grad_(False).eval()
        self.register_buffer("mask_embedding", model.get_input_embeddings().weight.mean(0))

    @property
    def positions(self) -> int:
        """The largest number of tokens that the network takes."""
        return self.model.config.max_position_embeddings

    def forward(self, tokens: Tensor) -> Tensor:
        if (tokens < MASKED).any():
            raise ValueError("the rows hold padding; a language model takes the tokens of one sample, without padding")
        masked = tokens == MASKED
        embeddings = self.model.get_input_embeddings()(torch.where(masked, 0, tokens))
        embeddings = torch.where(masked[..., None], self.mask_embedding, embeddings)
        return self.model(inputs_embeds=embeddings, use_cache=False, logits_to_keep=1).logits[:, -1]


HUB = "transformers/"
"""What a model's name begins with when its weights come from the Hugging Face hub."""


def load(model: str, weights: str = "", device: torch.device | str = "cpu") -> tuple[CausalLM, Any]:
    """A causal language model, float32, and its tokenizer.

    `weights` is a folder that transformers wrote, or a file in it; nothing is fetched then. Where it is empty, `model` is
    transformers/<hub name>. No code that comes with weights is run. Raises ParameterError when they cannot be loaded.
    """
    source, local = _source(model, weights)
    with _told(model, weights), _quiet():
        from transformers import AutoModelForCausalLM, AutoTokenizer

        options = {"local_files_only": local, "trust_remote_code": False}
        tokenizer = AutoTokenizer.from_pretrained(source, **options)
        loaded, report = AutoModelForCausalLM.from_pretrained(
            source, dtype=torch.float32, output_loading_info=True, **options
        )
    # transformers fills what a file lacks with random numbers and goes on.
    if report["missing_keys"] or report["mismatched_keys"]:
        raise refusal(
            *_name(model, weights), f"weights of the whole network; missing: {sorted(report['missing_keys'])[:3]}"
        )
    if not tokenizer.is_fast:
        raise refusal(
            *_name(model, weights), "a network whose tokenizer says which characters a token holds: a fast one"
        )
    return CausalLM(loaded).to(device), tokenizer


def untrained(model: str, weights: str = "", seed: int = 0, device: torch.device | str = "cpu") -> CausalLM:
    """The same network as `load` gives, with random weights: its configuration's own initialisation from `seed`."""
    source, local = _source(model, weights)
    with _told(model, weights), torch.random.fork_rng(devices=[]):
        from transformers import AutoConfig, AutoModelForCausalLM

        config = AutoConfig.from_pretrained(source, local_files_only=local, trust_remote_code=False)
        torch.manual_seed(seed)
        return CausalLM(AutoModelForCausalLM.from_config(config, dtype=torch.float32)).to(device)


def _source(model: str, weights: str) -> tuple[str, bool]:
    """What to give to transformers, and whether it is a folder here."""
    if weights:
        path = Path(weights).expanduser()
        folder = path.parent if path.is_file() else path
        if not (folder / "config.json").is_file():
            raise refusal(
                "weights", path.name, "a folder with a config.json as transformers writes it, or a file in it"
            )
        return str(folder), True
    if not model.startswith(HUB) or model == HUB:
        raise refusal("model", model, f"{HUB}<hub name> where no weights are given")
    return model.removeprefix(HUB), False


def _name(model: str, weights: str) -> tuple[str, str]:
    return ("weights", Path(weights).name) if weights else ("model", model)


@contextmanager
def _told(model: str, weights: str) -> Iterator[None]:
    """Whatever goes wrong inside transformers, as one line."""
    try:
        yield
    except Exception as error:  # configuration, hub, tokenizer and weight formats have errors of their own
        name, value = _name(model, weights)
        raise ParameterError(
            f"{name} = {value!r}: not a causal language model that can be loaded: {' '.join(str(error).split())[:200]}"
        ) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """No bar for the loading of each tensor."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def own_answer(network: nn.Module, inputs: Tensor) -> Tensor:
    """The class, or next token, that the network itself gives: inputs (B, ...) to int64 (B,)."""
    with torch.no_grad():
        return network(inputs).argmax(-1)


def learn_mask_embedding(
    network: CausalLM,
    game: Any,
    passes: int,
    seed: int,
    draws: int = 10,
    learning_rate: float = 1e-3,
    progress: bool = False,
) -> list[float]:
    """Learn the embedding of masked words, in place; returns the mean loss of every pass.

    Section 5 of papers/02 and the authors' code: SGD with momentum 0.9, one step a sample, `draws` triples of disjoint
    sets of words S1, S2, S3, and the loss |v(S1+S2+S3) - v(S1+S3) - v(S2+S3) + v(S3)|. Words masked by a good embedding
    leave little interaction behind. v is the log-odds of the network's own next token on the whole input.
    """
    generator = torch.Generator().manual_seed(seed)
    embedding = network.mask_embedding.requires_grad_()
    optimizer = torch.optim.SGD([embedding], learning_rate, momentum=0.9)
    samples, losses = len(game.inputs), []
    answers = [own_answer(network, game.masked(s, _all(game))[:, 0]) for s in range(samples)]
    with tqdm(range(passes), unit="pass", desc="mask embedding", mininterval=1, disable=not progress) as bar:
        for _ in bar:
            total = 0.0
            for sample in range(samples):
                loss = _leftover(network, game, sample, answers[sample], draws, generator)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                total += float(loss.detach())
            losses.append(total / samples)
            bar.set_postfix(loss=f"{losses[-1]:.3f}")
    embedding.requires_grad_(False).grad = None
    return losses


def mask_loss(network: CausalLM, game: Any, draws: int, seed: int) -> float:
    """The loss of `learn_mask_embedding` as it stands, over the same draws for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    samples = range(len(game.inputs))
    with torch.no_grad():
        answers = [own_answer(network, game.masked(s, _all(game))[:, 0]) for s in samples]
        return sum(float(_leftover(network, game, s, answers[s], draws, generator)) for s in samples) / len(samples)


def _all(game: Any) -> Tensor:
    return torch.ones(1, game.n, dtype=torch.bool, device=game.inputs.device)


def _leftover(
    network: nn.Module, game: Any, sample: int, answer: Tensor, draws: int, generator: torch.Generator
) -> Tensor:
    """Mean over draws of |v(S1+S2+S3) - v(S1+S3) - v(S2+S3) + v(S3)| for one sample."""
    masks = draw_triples(game.n, draws, generator).to(game.inputs.device)
    logits = network(game.masked(sample, masks.flatten(0, 1))[:, 0])
    v = log_odds(logits, answer).unflatten(0, (draws, 4))
    return (v[:, 0] - v[:, 1] - v[:, 2] + v[:, 3]).abs().mean()


def draw_triples(n: int, draws: int, generator: torch.Generator) -> Tensor:
    """Masks of S1+S2+S3, S1+S3, S2+S3 and S3 for random disjoint sets: bool (draws, 4, n).

    S1 and S2 have 1 to 3 players; S3 has all others with probability 1/3, else a random number of them.
    Raises ValueError for fewer than 2 players.
    """
    if n < 2:
        raise ValueError(f"n = {n}: two disjoint sets need at least 2 players")
    random = torch.rand(3, draws, generator=generator)
    first = 1 + (random[0] * min(3, n - 1)).long()
    second = 1 + (random[1] * (n - first).clamp(max=3)).long()
    left = n - first - second
    everything = torch.rand(draws, generator=generator) < 1 / 3
    third = torch.where(everything, left, (random[2] * left).long())
    # The place of each player in a random order decides which set it is in.
    place = torch.rand(draws, n, generator=generator).argsort(-1)
    in_1 = place < first[:, None]
    in_2 = ~in_1 & (place < (first + second)[:, None])
    in_3 = ~in_1 & ~in_2 & (place < (first + second + third)[:, None])
    return torch.stack([in_1 | in_2 | in_3, in_1 | in_3, in_2 | in_3, in_3], 1)
