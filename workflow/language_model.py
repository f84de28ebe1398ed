"""Trains the small language model that comes with the book, on docstrings of scientific packages.

    python workflow/language_model.py

writes src/innercodes/checkpoints/docstring_lm and prints the held-out loss per token of the network and of an n-gram
model of the same tokens. Same machine and versions, same files.
"""

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor, nn

from innercodes import causal

END = "<|endoftext|>"
VOCABULARY, CONTEXT, LAYERS, WIDTH, HEADS, SPREAD = 1024, 128, 6, 128, 4, 0.08
STEPS, BATCH, WARM_UP, SEED = 11_000, 8, 50, 0
MATRIX_RATE, OTHER_RATE = 0.005, 0.01


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=STEPS, help="batches to train on")
    parser.add_argument("--folder", type=Path, default=causal.DOCSTRING_MODEL, help="where to write")
    given = parser.parse_args()
    torch.set_num_threads(1)

    train, held_out = causal.docstring_texts(False), causal.docstring_texts(True)
    tokenizer = byte_pairs(train, VOCABULARY)
    streams = [stream(tokenizer, texts) for texts in (train, held_out)]
    for name, texts, tokens in zip(("training", "held out"), (train, held_out), streams, strict=True):
        print(f"{name}: {len(texts)} texts, {sum(map(len, texts))} characters, {len(tokens)} tokens", flush=True)
    for order in range(1, 6):
        print(f"Kneser-Ney, order {order}: {n_gram_losses(*streams, VOCABULARY, order).mean():.4f} nats", flush=True)

    model = network(SEED)
    passes = given.steps * BATCH * CONTEXT / len(streams[0])
    print(f"network: {sum(p.numel() for p in model.parameters())} parameters, {passes:.1f} passes", flush=True)
    fit(model, *streams, given.steps)
    save(model, tokenizer, given.folder)
    model, _ = causal.load(str(given.folder))
    print(f"as written: {mean_loss(model, streams[1]):.4f} nats a token held out", flush=True)


def byte_pairs(texts: list[str], size: int) -> Tokenizer:
    """A byte-level byte-pair encoding of `size` tokens; the first one, END, begins every text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    # All 256 bytes are tokens, so that any text can be read.
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=[END], initial_alphabet=sorted(alphabet), show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{END} $A", special_tokens=[(END, tokenizer.token_to_id(END))]
    )
    return tokenizer


def stream(tokenizer: Tokenizer, texts: list[str]) -> Tensor:
    """All texts one after the other: int64 (tokens,)."""
    return torch.tensor([token for encoded in tokenizer.encode_batch(texts) for token in encoded.ids])


def network(seed: int) -> nn.Module:
    """A small network of the Llama type with random weights."""
    from transformers import AutoModelForCausalLM, LlamaConfig

    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=WIDTH, intermediate_size=3 * WIDTH, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, num_key_value_heads=HEADS, max_position_embeddings=CONTEXT, tie_word_embeddings=True,
        initializer_range=SPREAD, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return AutoModelForCausalLM.from_config(config, dtype=torch.float32)


def fit(model: nn.Module, train: Tensor, held_out: Tensor, steps: int) -> None:
    """Muon for the matrices of the blocks and AdamW for the rest, in place, over blocks of text in random order.

    The learning rates rise over WARM_UP steps and fall as a cosine.
    """
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    optimizers = (
        torch.optim.Muon(matrices, MATRIX_RATE, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, OTHER_RATE, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
    )
    batches = _batches(train, torch.Generator().manual_seed(SEED))
    model.train()
    started = time.process_time()
    for step in range(steps):
        share = min(1, (step + 1) / WARM_UP) * (0.01 + 0.99 * (1 + math.cos(math.pi * step / steps)) / 2)
        loss = _loss(model, next(batches)).mean()
        for optimizer, rate in zip(optimizers, (MATRIX_RATE, OTHER_RATE), strict=True):
            optimizer.param_groups[0]["lr"] = rate * share
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        if (step + 1) % 500 == 0 or step + 1 == steps:
            print(
                f"step {step + 1}, {time.process_time() - started:.0f} s: loss {loss.item():.3f} in training, "
                f"{mean_loss(model, held_out):.4f} held out",
                flush=True,
            )
    model.eval()


def _batches(tokens: Tensor, generator: torch.Generator):
    while True:
        start = int(torch.randint(CONTEXT, (), generator=generator))
        blocks = tokens[start:].unfold(0, CONTEXT + 1, CONTEXT)
        for rows in torch.randperm(len(blocks), generator=generator).split(BATCH)[:-1]:
            yield blocks[rows]


def _loss(model: nn.Module, blocks: Tensor) -> Tensor:
    """The loss of each token but the first, in nats: int64 (B, L + 1) to (B, L)."""
    logits = model(blocks[:, :-1], use_cache=False).logits
    return nn.functional.cross_entropy(logits.transpose(1, 2), blocks[:, 1:], reduction="none")


def mean_loss(model: nn.Module, tokens: Tensor) -> float:
    """Mean loss per token over a stream; a rest is left out.

    Blocks overlap by half, and the second half of each is counted, so that every token has at least CONTEXT / 2 before
    it, as the n-gram model has its past.
    """
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        blocks = tokens.unfold(0, CONTEXT + 1, CONTEXT // 2)
        losses = [_loss(model, rows)[:, CONTEXT // 2 :] for rows in blocks.split(64)]
        found = torch.cat(losses).double().mean().item()
    model.train(was_training)
    return found


def n_gram_losses(train: Tensor, held_out: Tensor, vocabulary: int, order: int) -> np.ndarray:
    """Losses in nats of an interpolated, modified Kneser-Ney model at all held-out tokens but the first.

    Chen & Goodman 1999, section 3.
    """
    return -np.log(n_gram_probabilities(train.numpy(), held_out.numpy(), vocabulary, order)[1:])


def n_gram_probabilities(train: np.ndarray, tokens: np.ndarray, vocabulary: int, order: int) -> np.ndarray:
    """P(token | the order - 1 tokens before it) at each place of `tokens`: float64 (tokens,)."""
    probability = np.full(len(tokens), 1 / vocabulary)
    for n in range(1, order + 1):
        # The longest grams are counted; shorter ones by how many different tokens come before them.
        every = _grams(train, n, vocabulary) if n == order else np.unique(_grams(train, n + 1, vocabulary))
        grams, counts = np.unique(every % vocabulary**n, return_counts=True)
        found = [max(1, np.sum(counts == k)) for k in (1, 2, 3, 4)]
        ratio = found[0] / (found[0] + 2 * found[1])
        # At least a little, so that nothing is impossible.
        discounts = [min(k, max(1e-3, k - (k + 1) * ratio * found[k] / found[k - 1])) for k in (1, 2, 3)]
        taken = np.array(discounts)[np.minimum(counts, 3) - 1]
        pasts, owner = np.unique(grams // vocabulary, return_inverse=True)
        totals, freed = np.bincount(owner, counts), np.bincount(owner, taken)

        asked = _grams(tokens, n, vocabulary)
        place, known = _find(pasts, asked // vocabulary)
        gram, seen = _find(grams, asked)
        shorter = probability[n - 1 :]
        longer = (np.where(seen, (counts - taken)[gram], 0) + freed[place] * shorter) / totals[place]
        probability[n - 1 :] = np.where(known, longer, shorter)
    return probability


def _grams(tokens: np.ndarray, n: int, vocabulary: int) -> np.ndarray:
    """All runs of n tokens as one number each, the last token the lowest digit: int64 (tokens - n + 1,)."""
    if vocabulary**n >= 2**63:
        raise ValueError(f"n = {n}: runs of {vocabulary} kinds of tokens must fit in 63 bits")
    digits = vocabulary ** np.arange(n - 1, -1, -1, dtype=np.int64)
    return np.lib.stride_tricks.sliding_window_view(tokens.astype(np.int64), n) @ digits


def _find(ordered: np.ndarray, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each value stands among ordered ones, and whether it is there."""
    place = np.searchsorted(ordered, asked).clip(max=len(ordered) - 1)
    return place, ordered[place] == asked


def save(model: nn.Module, tokenizer: Tokenizer, folder: Path) -> None:
    """Network in half precision and tokenizer, as transformers writes them."""
    from transformers import PreTrainedTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END,
        eos_token=END,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )
    fast.save_pretrained(folder)
    model.half().save_pretrained(folder, safe_serialization=True)
    for file in folder.iterdir():
        file.chmod(0o644)  # safetensors writes for the owner alone


if __name__ == "__main__":
    main()
