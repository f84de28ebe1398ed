"""Explaining single units and random projections of a language model, and scoring the explanations (figures 7b and 7c).

Source: Marshall & Kirchner 2024 and their code, after Bills et al. 2023 ("Language models can explain neurons in
language models"). Their explainer and simulator are retired services. Two stand in: one without any model, which works
offline, and a local instruction model. Both are substitutions; scores are to be compared within one of them.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder
from torch import Tensor, nn

from innercodes import causal, spectra

HIGHEST = 10
"""Activations are shown and guessed on a scale from 0 to this."""

KINDS = ("neurons", "projections")


# Records


@dataclass(frozen=True)
class Record:
    """What one unit says to one text: its `rows` int64 (L,) among all tokens and `activations` float (L,), 0 to 10."""

    text: int
    rows: Tensor
    activations: Tensor


def top_records(acts: Tensor, text_index: Tensor, unit: int, most: int = 10) -> list[Record]:
    """The records of the `most` texts in which a unit has its largest maxima, the largest first.

    `acts` float (N, units) and `text_index` int (N,) as in `causal.Reading`. Activations go through a ReLU and are
    divided by their largest value, which becomes 10; those of a unit that is never above 0 stay 0. Raises ValueError
    for fewer than 2 texts.
    """
    texts, owner = text_index.unique(return_inverse=True)
    if len(texts) < 2 or most < 2:
        raise ValueError(f"text_index, most = {len(texts)} texts, {most}: must be at least 2, to explain and to score")
    if not 0 <= unit < acts.shape[1]:
        raise ValueError(f"unit = {unit}: must be in 0 ... {acts.shape[1] - 1}")
    values = acts[:, unit].relu()
    maxima = values.new_zeros(len(texts)).scatter_reduce(0, owner, values, "amax")
    chosen = maxima.argsort(descending=True, stable=True)[:most]
    scale = HIGHEST / maxima.max() if maxima.max() > 0 else 1.0
    rows = [torch.nonzero(owner == text).flatten() for text in chosen]
    return [Record(int(texts[i]), at, values[at] * scale) for i, at in zip(chosen, rows, strict=True)]


def halves(records: Sequence[Record]) -> tuple[list[Record], list[Record]]:
    """Every second record from the first, which explain, and the others, which score."""
    return list(records[::2]), list(records[1::2])


# Explainers and simulators


class Explainer(Protocol):
    """Tokens int64 (L,) and activations float (L,), 0 to 10, of records, to what its simulator reads."""

    def explain(self, tokens: Sequence[Tensor], activations: Sequence[Tensor]) -> Any: ...


class Simulator(Protocol):
    """An explanation and the tokens int64 (L,) of records, to the activations expected at them: float (L,) of each."""

    def simulate(self, explanation: Any, tokens: Sequence[Tensor]) -> list[Tensor]: ...


@dataclass(frozen=True)
class TokenRidge:
    """Explainer and simulator without a model: ridge regression on which token it is and which one stands before it.

    Tokens that were not seen count as none. The penalty is scikit-learn's alpha.
    """

    penalty: float = 1.0

    def explain(self, tokens: Sequence[Tensor], activations: Sequence[Tensor]) -> Pipeline:
        encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
        pipeline = make_pipeline(encoder, Ridge(alpha=self.penalty))
        return pipeline.fit(self._features(tokens), torch.cat(list(activations)).double().numpy())

    def simulate(self, explanation: Pipeline, tokens: Sequence[Tensor]) -> list[Tensor]:
        expected = torch.from_numpy(explanation.predict(self._features(tokens)))
        return list(expected.split([len(row) for row in tokens]))

    @staticmethod
    def _features(tokens: Sequence[Tensor]) -> Any:
        # Nothing stands before a record's first token.
        before = [torch.cat([row.new_full((1,), -1), row[:-1]]) for row in tokens]
        return torch.stack([torch.cat(list(tokens)), torch.cat(before)], 1).numpy()


EXPLAIN = """We study neurons in a language model. Each neuron looks for one thing in short texts. Below are texts \
that make one neuron active. Each line has a token, a tab and how active the neuron is, from 0 to 10.

{records}

In one short sentence, what does this neuron look for? Do not list the tokens."""

SIMULATE = """We study neurons in a language model. Each neuron looks for one thing in short texts. This neuron looks \
for: {explanation}

Below is a text. Each line has a token, a tab and how active the neuron is, from 0 to 10. Most are 0."""

UNKNOWN = "unknown"
"""What stands in the place of an activation while a text is simulated: a guess would steer the next one."""


@dataclass(frozen=True)
class LocalModel:
    """Explainer and simulator by an instruction model on this machine.

    `words` says how a token of the explained network is written. To explain, the model goes on from a prompt that lists
    tokens and rounded activations. To simulate, it reads a text in one pass with "unknown" for every activation; the
    expected value of an activation is that of the numbers 0 to 10 under the model's own probabilities at this place.
    Where the tokenizer writes 10 as two tokens the numbers end with 9.
    """

    model: nn.Module
    tokenizer: Any
    words: Callable[[int], str]
    longest: int = 60

    def explain(self, tokens: Sequence[Tensor], activations: Sequence[Tensor]) -> str:
        """One sentence of at most `longest` tokens: the model's most probable words, so always the same."""
        shown = "\n\n".join(
            "\n".join(f"{self._word(t)}\t{round(float(a))}" for t, a in zip(row, values, strict=True))
            for row, values in zip(tokens, activations, strict=True)
        )
        prompt = torch.tensor([self._prompt(EXPLAIN.format(records=shown))], device=self.model.device)
        self._check_length(prompt.shape[1] + self.longest)
        with torch.inference_mode():
            out = self.model.generate(
                prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=self.longest, do_sample=False,
                pad_token_id=self.tokenizer.eos_token_id,
            )  # fmt: skip
        said = self.tokenizer.decode(out[0, prompt.shape[1] :], skip_special_tokens=True)
        return " ".join(said.split())

    def simulate(self, explanation: str, tokens: Sequence[Tensor]) -> list[Tensor]:
        prompt = self._prompt(SIMULATE.format(explanation=explanation))
        return [self._expected(prompt, row) for row in tokens]

    def _expected(self, prompt: list[int], tokens: Tensor) -> Tensor:
        """The expected activation at each token of a text: int64 (L,) to float64 (L,)."""
        numbers = self._numbers()
        line_end = self._ids(f"{UNKNOWN}\n")
        ids, places = list(prompt), []
        for token in tokens:
            ids += self._ids(f"{self._word(token)}\t")
            places.append(len(ids) - 1)  # the logits of the last token before a number are those of the number
            ids += line_end
        self._check_length(len(ids))
        with torch.inference_mode():
            logits = self.model(torch.tensor([ids], device=self.model.device), use_cache=False).logits[0, places]
        probabilities = logits[:, numbers].double().softmax(-1).cpu()
        return probabilities @ torch.arange(len(numbers), dtype=torch.float64)

    def _numbers(self) -> list[int]:
        """The tokens of 0, 1 ... 10, or ... 9."""
        ids = [self._ids(str(number)) for number in range(HIGHEST + 1)]
        if any(len(written) != 1 for written in ids[:HIGHEST]) or len({tuple(written) for written in ids}) <= HIGHEST:
            raise ValueError("tokenizer: must have one token for each digit")
        return [written[0] for written in ids if len(written) == 1]

    def _prompt(self, request: str) -> list[int]:
        """The tokens of a request, up to where the answer begins."""
        if getattr(self.tokenizer, "chat_template", None):
            messages = [{"role": "user", "content": request}]
            written = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            return self._ids(written)
        return list(self.tokenizer(f"{request}\n\n").input_ids)

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False).input_ids)

    def _word(self, token: Tensor) -> str:
        # A line is a token: its own ends of line and tabs would break the list.
        return self.words(int(token)).replace("\n", "\\n").replace("\t", "\\t")

    def _check_length(self, length: int) -> None:
        positions = self.model.config.max_position_embeddings
        if length > positions:
            raise ValueError(f"model: takes {positions} tokens, must take the {length} of a prompt")


def local_model(name_or_folder: str, words: Callable[[int], str], device: torch.device | str = "cpu") -> LocalModel:
    """The instruction model of a folder or a name on the Hugging Face hub. ParameterError for what cannot be read."""
    return LocalModel(*causal.load(name_or_folder, device), words)


# Scores


def score(simulated: Sequence[Tensor], true: Sequence[Tensor]) -> float:
    """Pearson correlation over all tokens of all records, float (L,) each. NaN where one side is constant."""
    a, b = (torch.cat(list(rows)).double() for rows in (simulated, true))
    if len(a) != len(b):
        raise ValueError(f"simulated: {len(a)} tokens, must be {len(b)} as the true activations")
    if (a == a[0]).all() or (b == b[0]).all():
        return math.nan
    return float(torch.corrcoef(torch.stack([a, b]))[0, 1])


def scores(
    acts: Tensor,
    tokens: Tensor,
    text_index: Tensor,
    count: int,
    kind: str = "neurons",
    seed: int = 0,
    *,
    most: int = 10,
    explainer: Explainer | None = None,
    simulator: Simulator | None = None,
) -> Tensor:
    """Explanation scores of `count` units of a layer, float64 (count,); their nanmean is the layer's (figure 7b).

    `acts` (N, units), `tokens` and `text_index` (N,) as in `causal.Reading`. `kind` is "neurons", units drawn without
    replacement, or "projections", onto random directions with weights N(0, 1/units). An explanation is made from every
    second of the unit's `most` top records and scored on the others. The explainer, `TokenRidge` by default, is the
    simulator too unless there is another. NaN is the score of a unit that is never above 0, or always says the same, on
    the records that score.
    """
    if kind not in KINDS:
        raise ValueError(f"kind = {kind!r}: must be one of {', '.join(KINDS)}")
    if count < 1 or (kind == "neurons" and count > acts.shape[1]):
        raise ValueError(f"count = {count}: must be in 1 ... {acts.shape[1]} for neurons, and at least 1")
    if kind == "neurons":
        chosen = torch.randperm(acts.shape[1], generator=torch.Generator().manual_seed(seed))[:count]
        values = acts[:, chosen.to(acts.device)]
    else:
        values = spectra.random_projections(acts, count, seed, dimensions=1)[..., 0].T
    explainer = explainer or TokenRidge()
    simulator = simulator or explainer
    found = []
    for unit in range(count):
        explaining, scoring = halves(top_records(values, text_index, unit, most))
        explanation = explainer.explain([tokens[r.rows] for r in explaining], [r.activations for r in explaining])
        simulated = simulator.simulate(explanation, [tokens[r.rows] for r in scoring])
        found.append(score(simulated, [r.activations for r in scoring]))
    return torch.tensor(found, dtype=torch.float64)


# Smooth projections


@dataclass(frozen=True)
class Projection:
    """A text on a line: the `draw` it was, its `path` (tokens,), its action, and the actions (draws,) of all draws."""

    draw: int
    path: Tensor
    action: float
    actions: Tensor


def lowest_action(acts: Tensor, draws: int = 1000, seed: int = 0) -> Projection:
    """Among random 1-D projections of one text's activations (tokens, units) the one of smallest action (figure 7c).

    Raises ValueError for fewer than 2 tokens.
    """
    if len(acts) < 2 or draws < 1:
        raise ValueError(f"acts, draws = {len(acts)} tokens, {draws}: must be at least 2 tokens and 1 draw")
    paths = spectra.random_projections(acts, draws, seed, dimensions=1)
    actions = spectra.action(paths, closed=False)
    draw = int(actions.argmin())
    return Projection(draw, paths[draw, :, 0], float(actions[draw]), actions)
