"""Word vectors from counts of neighbours, and sentences as pictures."""

import numpy as np
import pytest
import torch

from innercodes import models, sentences, text
from innercodes.parameters import ParameterError


def run(root):
    from types import SimpleNamespace

    return SimpleNamespace(data_root=str(root), seed=0)


def tokens_of(rows=40, length=9, words=12, seed=0):
    generator = torch.Generator().manual_seed(seed)
    found = torch.randint(text.UNKNOWN, words, (rows, length), generator=generator)
    for row, padding in enumerate(torch.randint(0, length - 2, (rows,), generator=generator)):
        found[row, :padding] = text.PADDING
    return found


@pytest.mark.parametrize("window", [1, 3])
def test_word_vectors_give_back_the_mutual_information_of_neighbours(window):
    tokens = tokens_of()
    words = int(tokens.max()) + 1
    counts = np.zeros((words, words))
    for row in tokens.tolist():
        for i, left in enumerate(row):
            for j, right in enumerate(row):
                if 0 < abs(i - j) <= window and text.PADDING not in (left, right):
                    counts[left, right] += 1
    shares = counts / counts.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        information = np.log(shares / np.outer(shares.sum(1), shares.sum(0)))
    positive = np.where(counts > 0, information.clip(0), 0)
    values, axes = np.linalg.eigh(positive @ positive.T)
    for size in (words - 2, 3):
        vectors = sentences.word_vectors(tokens, size, window).double().numpy()
        # Signs of axes are free: products of vectors are compared, which are P |P|^-1 P on the leading axes.
        top, strength = axes[:, ::-1][:, :size], np.sqrt(values[::-1][:size].clip(0))
        np.testing.assert_allclose(vectors @ vectors.T, top * strength @ top.T, atol=1e-4)
    assert np.abs(vectors[text.PADDING]).max() == 0
    again = sentences.word_vectors(tokens, 3, window).numpy()
    assert (again == sentences.word_vectors(tokens, 3, window).numpy()).all()


def test_a_row_of_a_picture_is_a_word():
    vectors = torch.arange(5 * 32.0).view(5, 32)
    tokens = torch.tensor([[0, 3, 1], [4, 4, 2]])
    pictures = sentences.as_pictures(tokens, vectors)
    assert pictures.shape == (2, 4, 3, 8)
    for sentence, word in np.ndindex(2, 3):
        torch.testing.assert_close(pictures[sentence, :, word].flatten(), vectors[tokens[sentence, word]])
    # So that the recurrent network, which reads row by row, reads one word's vector at a time.
    rows = []
    network = models.untrained("sentence_lstm", 0)
    network.network.layer1.register_forward_pre_hook(lambda _, inputs: rows.append(inputs[0]))
    network(pictures)
    torch.testing.assert_close(rows[0][1], (vectors[tokens[1]] - 0.5) / 0.2)


@pytest.fixture
def root(tmp_path):
    good, bad = ("a fine and moving film", "fine work , moving"), ("a dull and empty film", "dull work , empty")
    rows = [f"{text_} \t{label}" for label, side in ((1, good), (0, bad)) for text_ in side for _ in range(6)]
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "sst2_train.tsv").write_text(
        "\n".join(["sentence\tlabel", *rows, "many " * 30 + "\t1"]) + "\n"
    )
    (tmp_path / "text" / "sst2_dev.tsv").write_text("sentence\tlabel\na fine film \t1\na quite dull film \t0\n")
    return tmp_path


def test_sst2_as_pictures(root, monkeypatch):
    monkeypatch.setattr(sentences, "CHANNELS", 1)
    monkeypatch.setattr(sentences, "WIDTH", 4)
    learned, others = sentences.sst2(run(root), 20, 50)
    assert len(learned) == 20 and learned.labels.bincount().tolist() == [10, 10] and learned.classes == ("bad", "good")
    assert len(others) == 2 and not others.embedded  # the sentence of thirty words is not among the 25
    inputs, labels = others.tensors()
    assert inputs.shape == (2, 1, text.WIDTH, 4) and sorted(labels.tolist()) == [0, 1]
    both = torch.cat([inputs, learned.tensors()[0]])
    assert both.min() >= 0 and both.max() <= 1
    assert (inputs[:, :, : text.WIDTH - 4] == 0.5).all()
    fine, dull = inputs[labels == 1][0, 0], inputs[labels == 0][0, 0]
    assert torch.equal(fine[-1], dull[-1]) and not torch.equal(fine[-2], dull[-2])  # film; fine and dull
    with pytest.raises(ParameterError, match="^data_root = "):
        sentences.sst2(run(root / "text"), 20, 50)
