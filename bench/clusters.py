"""The plain baseline of many sources: character TF-IDF, one to one between each two sources, connected; counted as `endcap evaluate cluster` counts.

python bench/clusters.py FILE [--truth cluster_id] [--source merchant_id] [--least 0.5]

Titles as 2- to 4-grams of characters within words; two offers of two sources are one product when each is the other's nearest in that source
and their cosine is at least `least`. All offers are there from the start, which is easier than `endcap evaluate cluster`, where a fifth of the
clusters arrives later.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.feature_extraction.text import TfidfVectorizer

from endcap.learn.evaluate.cluster import FEW_SOURCES, b_cubed, links_between, pairwise
from endcap.learn.evaluate.tables import TITLES, read_csv

ROWS = 256


def main() -> None:
    """Print the baseline's figures as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--truth", default="cluster_id")
    parser.add_argument("--source", default="merchant_id")
    parser.add_argument("--least", type=float, default=0.5)
    given = parser.parse_args()
    clock = time.process_time()
    rows = read_csv(given.file, ((given.truth,), (given.source,), TITLES))
    titles = [next((row[name] for name in TITLES if row.get(name)), "") for row in rows]
    clusters = np.array([row[given.truth] for row in rows], dtype=object)
    sources = np.array([row[given.source] for row in rows], dtype=object)
    names, source_of = np.unique(sources.astype(str), return_inverse=True)
    vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), min_df=2, dtype=np.float32, sublinear_tf=True).fit_transform(titles)
    left, right = mutual_best(csr_matrix(vectors), source_of, names.size, given.least)
    graph = coo_matrix((np.ones(left.size), (left, right)), shape=(len(rows), len(rows)))
    _count, product = connected_components(graph, directed=False)
    products = product.astype(object)
    figures = {"pairwise": pairwise(products, clusters), "b_cubed": b_cubed(products, clusters)}
    if names.size <= FEW_SOURCES:
        figures["links"] = links_between(products, clusters, sources)  # type: ignore[assignment]
    print(json.dumps({**figures, "cpu_s": round(time.process_time() - clock, 1)}, indent=1))


def mutual_best(vectors: csr_matrix, source_of: np.ndarray, sources: int, least: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows (left, right) that are each other's nearest in their sources with a cosine of at least `least`."""
    best: dict[tuple[int, int], int] = {}
    turned = csr_matrix(vectors.T)
    for first in range(0, vectors.shape[0], ROWS):
        block = csr_matrix(vectors[first : first + ROWS] @ turned)
        for row in range(block.shape[0]):
            span = slice(block.indptr[row], block.indptr[row + 1])
            others, values = block.indices[span], block.data[span]
            near = (values >= least) & (source_of[others] != source_of[first + row])
            others, values = others[near], values[near]
            order = np.lexsort((others, -values, source_of[others]))
            _groups, places = np.unique(source_of[others[order]], return_index=True)
            for other in others[order[places]].tolist():
                best[first + row, int(source_of[other])] = other
    pairs = [(row, other) for (row, _source), other in sorted(best.items()) if row < other and best.get((other, int(source_of[row]))) == row]
    found = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return found[:, 0], found[:, 1]


if __name__ == "__main__":
    main()
