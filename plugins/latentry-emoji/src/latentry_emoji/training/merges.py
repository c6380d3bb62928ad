"""Learn byte-pair merges, the same ones on every run: the tokenizers library breaks ties at random."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

END_OF_WORD = "</w>"

Pair = tuple[str, str]


def learn_merges(words: Iterable[str], limit: int) -> list[Pair]:
    """At most `limit` merges, most frequent pair first, until every word is one piece; arXiv:1508.07909.

    Words are spelt in the characters of the byte-level alphabet; their last one carries ``</w>``.
    """
    counts = Counter(words)
    spelt = {word: [*word[:-1], word[-1] + END_OF_WORD] for word in sorted(counts)}
    merges: list[Pair] = []
    while len(merges) < limit and (pairs := _count_pairs(spelt, counts)):
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        spelt = {word: _merged(pieces, best) for word, pieces in spelt.items()}
    return merges


def vocabulary(alphabet: Sequence[str], merges: Sequence[Pair], special: Sequence[str]) -> dict[str, int]:
    """Numbers of the special tokens, of every character inside and at the end of a word, of every merge."""
    pieces = [*special, *alphabet, *(character + END_OF_WORD for character in alphabet)]
    pieces += dict.fromkeys(first + second for first, second in merges)
    return {piece: number for number, piece in enumerate(pieces)}


def _count_pairs(spelt: dict[str, list[str]], counts: Counter[str]) -> Counter[Pair]:
    pairs: Counter[Pair] = Counter()
    for word, pieces in spelt.items():
        for pair in pairwise(pieces):
            pairs[pair] += counts[word]
    return pairs


def _merged(pieces: list[str], pair: Pair) -> list[str]:
    merged: list[str] = []
    for piece in pieces:
        if merged and (merged[-1], piece) == pair:
            merged[-1] += piece
        else:
            merged.append(piece)
    return merged
