"""The optional text encoder and the memory of known products: what they promise, with and without the extra."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from endcap.learn.evaluate.encoded import fit_logistic, read_known
from endcap.learn.evaluate.match import evaluate_match
from endcap.learn.evaluate.tables import read_split, read_tables
from endcap.match import encoder as encoding
from endcap.match.encoder import Encoder, Tuning, fit_encoder, offer_text
from endcap.match.product_memory import COLUMNS, memory_columns
from endcap.problems import BadInput

EXTRA = all(find_spec(name) for name in ("torch", "tokenizers", "safetensors", encoding.BASE_PACKAGE))
needs_extra = pytest.mark.skipif(not EXTRA, reason="the neural extra is not installed (pip install endcap[neural])")
TEXTS = [
    "Zentro drill ZX-100 18V",
    "ZX-100 cordless drill by Zentro",
    "Zentro drill ZX-200 18V",
    "drill ZX-200, Zentro",
    "Marlo kettle 1.7 l",
    "kettle Marlo 1.7 litre",
]
PRODUCTS = np.array([0, 0, 1, 1, 2, 2])


def unit(*rows: tuple[float, ...]) -> np.ndarray:
    vectors = np.array(rows, dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def column(found: np.ndarray, name: str) -> np.ndarray:
    return found[:, COLUMNS.index(name)]


def test_without_the_extra_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(encoding, "import_module", missing)
    with pytest.raises(BadInput, match=r"the neural extra is not installed \(torch\); pip install endcap\[neural\]\."):
        Encoder.load_base()
    with pytest.raises(BadInput, match="the neural extra is not installed"):
        fit_encoder(TEXTS, PRODUCTS, [(0, 1)], seed=7)


def test_the_text_names_a_brand_once() -> None:
    assert offer_text("Zentro drill", "ZENTRO", None) == "Zentro drill"
    assert offer_text("drill", "Zentro", "18 V") == "Zentro drill 18 V"
    assert offer_text(None, None, None) == ""
    assert len(offer_text("drill", None, "x" * 20_000)) == len("drill ") + encoding.DESCRIPTION_CHARACTERS


def test_steps_hold_rivals_together_and_repeat_by_seed() -> None:
    products = np.repeat(np.arange(10), 3)
    rivals = [(0, 5), (1, 6)]
    runs = [list(encoding._batches(products, rivals, Tuning(steps=6, products_a_step=4), seed)) for seed in (7, 7, 8)]
    assert all(np.array_equal(one, other) for one, other in zip(runs[0], runs[1], strict=True))
    assert not all(np.array_equal(one, other) for one, other in zip(runs[0], runs[2], strict=True))
    for rows in runs[0]:
        inside = set(products[rows].tolist())
        assert len(inside) >= 4 and all((one in inside) == (other in inside) for one, other in rivals)
        assert np.bincount(products[rows]).max() == 2


def test_too_few_products_are_said() -> None:
    with pytest.raises(BadInput, match="fewer than two products with two offers"):
        next(encoding._batches(np.array([0, 0, 1]), [], Tuning(), 7))


def test_memory_sees_when_both_offers_remind_of_one_product() -> None:
    vectors = unit((1, 0, 0), (0.9, 0.1, 0), (0, 1, 0), (0.1, 0.9, 0), (0.95, 0.05, 0.1), (0.9, 0, 0.1), (0.05, 0.95, 0.1))
    product = np.array([0, 0, 1, 1, -1, -1, -1])
    left, right = np.array([4, 4]), np.array([5, 6])
    found = memory_columns(vectors, product, left, right, np.arange(7))
    assert found.shape == (2, len(COLUMNS)) and np.isfinite(found).all()
    assert np.allclose(column(found, "encoder_cosine"), [vectors[4] @ vectors[5], vectors[4] @ vectors[6]])
    assert column(found, "encoder_same_product")[0] > column(found, "encoder_same_product")[1]
    assert column(found, "encoder_nearest_of_both")[0] > column(found, "encoder_nearest_of_both")[1]
    assert column(found, "encoder_nearest_apart")[0] == 0 < column(found, "encoder_nearest_apart")[1]


def test_memory_leaves_the_pairs_own_offers_and_their_twins_out() -> None:
    vectors = unit((1, 0, 0), (0, 1, 0), (0, 0, 1), (0.2, 0.2, 1), (1, 0, 0))
    product, text = np.array([0, 0, 1, 1, 0]), np.array([0, 1, 2, 3, 0])
    left, right = np.array([0]), np.array([1])
    with_twin = memory_columns(vectors, product, left, right, text)
    # Product 0 is known only by the pair itself (row 4 repeats row 0's text), so both can only remind of product 1.
    alone = memory_columns(vectors[:4], np.array([-1, -1, 1, 1]), left, right, text[:4])
    assert np.allclose(column(with_twin, "encoder_nearest_of_both"), column(alone, "encoder_nearest_of_both"))
    assert np.allclose(column(with_twin, "encoder_nearest_apart"), column(alone, "encoder_nearest_apart"), atol=1e-6)


def test_memory_is_the_same_from_both_sides() -> None:
    random = np.random.default_rng(7)
    vectors = unit(*map(tuple, random.normal(size=(40, 8))))
    product, text = random.integers(-1, 6, 40), np.arange(40)
    left, right = random.integers(0, 20, 30), random.integers(20, 40, 30)
    assert np.allclose(memory_columns(vectors, product, left, right, text), memory_columns(vectors, product, right, left, text), atol=1e-6)


def test_memory_of_nothing_is_unknown() -> None:
    found = memory_columns(unit((1, 0), (0, 1)), np.array([-1, -1]), np.array([0]), np.array([1]), np.arange(2))
    assert column(found, "encoder_cosine")[0] == 0 and np.isnan(found[0, 1:]).all()


@needs_extra
def test_vectors_have_length_one_and_do_not_depend_on_company() -> None:
    base = Encoder.load_base()
    vectors = base.encode([*TEXTS, "", TEXTS[0]])
    assert vectors.shape == (8, 384) and vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5) and np.array_equal(vectors[0], vectors[7])
    assert np.allclose(base.encode([TEXTS[0]])[0], vectors[0], atol=1e-5)


@needs_extra
def test_tuning_draws_products_together_repeats_by_seed_and_is_kept_in_files(tmp_path: Path) -> None:
    base, tuning = Encoder.load_base(), Tuning(steps=4, products_a_step=3)
    one, other = (fit_encoder(TEXTS, PRODUCTS, [(0, 1)], seed=7, tuning=tuning, base=base) for _ in range(2))
    assert one.encoder_id == other.encoder_id != base.encoder_id
    before, after = base.encode(TEXTS), one.encode(TEXTS)
    assert after[0] @ after[1] - after[0] @ after[2] > before[0] @ before[1] - before[0] @ before[2]
    one.save(tmp_path / "encoder")
    assert np.array_equal(Encoder.load(tmp_path / "encoder").encode(TEXTS), after)


@needs_extra
def test_an_altered_or_foreign_encoder_is_refused(tmp_path: Path) -> None:
    Encoder.load_base().save(tmp_path)
    settings = tmp_path / encoding.SETTINGS_FILE
    kept = settings.read_text(encoding="utf-8")
    settings.write_text(json.dumps({**json.loads(kept), "settings": {"max_tokens": 8}}), encoding="utf-8")
    with pytest.raises(BadInput, match="altered after it was saved"):
        Encoder.load(tmp_path)
    settings.write_text(json.dumps({**json.loads(kept), "base_id": "0" * 12}), encoding="utf-8")
    with pytest.raises(BadInput, match="belongs to another base"):
        Encoder.load(tmp_path)
    settings.write_text(kept, encoding="utf-8")
    (tmp_path / encoding.WEIGHTS_FILE).write_bytes(b"not weights")
    with pytest.raises(BadInput, match="cannot be read"):
        Encoder.load(tmp_path)


# --- weighed in by `endcap evaluate match --encoder` -------------------------------------------------------------------


def test_products_are_known_as_the_labels_of_train_connect_them(tmp_path: Path) -> None:
    for feed in ("left", "right"):
        (tmp_path / f"{feed}.csv").write_text("id,title\n" + "\n".join(f"{n},{feed} thing {n}" for n in range(4)))
    for split, rows in (("train", "0,0,1\n1,0,1\n2,2,0\n"), ("valid", "3,3,1\n"), ("test", "3,2,0\n")):
        (tmp_path / f"{split}.csv").write_text("ltable_id,rtable_id,label\n" + rows)
    tables = read_tables(tmp_path)
    known = read_known(tables, read_split(tmp_path, "train", tables))
    of = {offer_id: int(known.product[row]) for offer_id, row in tables.row_of.items()}
    assert of["left:0"] == of["right:0"] == of["left:1"] != of["left:2"]
    assert {name for name, product in of.items() if product < 0} == {"left:3", "right:1", "right:3"}, "valid and test say nothing of a product"
    assert known.rivals == [tuple(sorted((of["left:2"], of["right:2"])))]


def test_the_logistic_part_finds_the_weights_that_made_the_labels() -> None:
    random = np.random.default_rng(7)
    columns = random.normal(size=(4000, 2))
    labels = (random.random(4000) < 1 / (1 + np.exp(-(2 * columns[:, 0] - columns[:, 1] + 0.5)))).astype(float)
    assert np.allclose(fit_logistic(columns, labels), [2, -1, 0.5], atol=0.2)
    assert np.isfinite(fit_logistic(columns, (columns[:, 0] > 0).astype(float))).all(), "labels that one column decides wholly"


def test_the_encoder_is_for_all_labels_only(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="tuned on all labels"):
        evaluate_match(tmp_path, labels="none", encoder=True)
