"""The scorer: gradient boosted trees in text files, fitted with labels or, with none, by letting two views teach each other.

Without labels and GTINs (co-training, one round): pairs that are each other's clear nearest, and do not contradict each other
in what they state, are seeds for a teacher that sees only what the offers say; its answers teach a second teacher that sees
only where the pair stands among its rivals; the two are multiplied, at a discount since they are not quite independent. With
enough GTINs, shared and contradicting ones teach one teacher that sees all but the GTINs, each half answering for the other; with
some, the two answers are mixed. Then GTINs are added as evidence, at the rate at which they agree with sure answers, and a student learns the result from all
features. The seed rule of co-training hides its context features, and that of GTINs its GTINs, from the teacher it labels. To what the
student says is added what tells the offers of one feed apart (`apart`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from endcap import shelf
from endcap.match import trees
from endcap.match.apart import SHARE, TOLD_APART, teaches
from endcap.match.difference import Difference
from endcap.match.forest import Forest, read_forest
from endcap.match.pairs import Pairs
from endcap.match.stack import LEARNED, Stack, fit_stack
from endcap.problems import BadInput

FORMAT = "endcap pair scorer 2"
SETTINGS_FILE, TREES_FILE, APART_FILE = "model.json", "trees_{}.txt", "apart.txt"
# A clear nearest is nearer than its runner-up by this share of its similarity, from both sides.
CLEAR_MARGIN = 0.1
# And it is at least this share as near as what is nearest of any feed: of a feed of other goods something is the nearest, too.
NEAR_ENOUGH = 0.3
# Two views of one pair are not independent: their joint log-odds count this much (chosen on sandbox worlds without GTINs).
JOINT_SHARE = 0.6
# GTINs teach alone from so many of both answers on, with fewer in proportion, and with very few not at all.
ENOUGH_GTINS, FEW_GTINS = 500, 50
# Of so few seeds one that is wrong is many: nothing is said to be surer than the upper 95 % bound on the share of wrong seeds, where one is.
FEW_SEEDS = 100
# More pairs than this change the trees little and cost time.
FIT_PAIRS = 80_000
# Brands tell siblings apart where this share of the pairs that are each other's nearest agree in them.
MOSTLY = 0.5
# Answers this sure show how often GTINs are wrong.
SURE = 0.9
# The last trees are grown so often, each from its own draws; their mean depends less on the seed.
REPEATS = 3
# The feature that says whether a pair is of one feed.
ONE_FEED = "one_feed"
# A number of a model: the highest chance that it was taught to give two listings of one marketplace.
MOST_OF_LISTINGS = "most_of_listings"
# From this many labels on, they can teach more than corrections of the scorer without labels.
STACK_LABELS = 1500
# Numbers of a model that audits have calibrated: what its log-odds are multiplied by and moved by where people see them as a chance.
PLATT = ("platt_slope", "platt_shift")


@dataclass(frozen=True)
class Model:
    """Settings and numbers of a scorer: the log-odds of a pair are the sum of what its parts say, or their mean (see `_share`), and what `apart` adds."""

    kind: str  # unsupervised | lightgbm | stacked
    names: tuple[str, ...]  # features in the order of the columns
    parts: tuple[str, ...]  # LightGBM text models
    settings: dict[str, Any] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)  # what was counted while fitting
    stack: Stack | None = None  # columns learned from labels, behind all others
    apart: Difference | None = None  # what makes the column behind those of the shelf
    own_details: tuple[int, ...] = ()  # hashes of the names of details that say nothing across feeds (see `details`), ascending

    @cached_property
    def model_id(self) -> str:
        """Short hash of the content."""
        content = [self._described(), *self.parts, *self._texts().values()]
        return hashlib.sha256("\0".join(content).encode()).hexdigest()[:12]

    @cached_property
    def forest(self) -> Forest:
        """The trees of all parts."""
        return read_forest(*self.parts)

    @cached_property
    def _boosters(self) -> tuple[Any, ...]:
        return tuple(trees.booster(part) for part in self.parts)

    @property
    def base_part(self) -> str:
        """The trees that were fitted without labels, which labels correct."""
        return self.stack.base if self.stack else self.parts[0]

    @cached_property
    def first(self) -> Model:
        """The scorer without labels that labels corrected; itself where none did."""
        return (
            self if self.kind == "unsupervised" else Model("unsupervised", self.first_names, (self.base_part,), apart=self.apart, own_details=self.own_details)
        )

    @property
    def first_names(self) -> tuple[str, ...]:
        """Those of `names` that are known without labels, in their order: all that labels may correct."""
        return self.names[: len(self.names) - len(LEARNED)] if self.stack else self.names

    @property
    def shelf_names(self) -> tuple[str, ...]:
        """The features of the shelf among `names`, in their order."""
        return self.first_names[:-1] if self.apart else self.first_names

    def first_columns(self, pairs: Pairs, features: np.ndarray) -> np.ndarray:
        """float32 [n, len(first_names)] from shelf features."""
        return features if self.apart is None else np.hstack([features, self.apart.column(pairs)[:, None]])

    def columns(self, pairs: Pairs, features: np.ndarray) -> np.ndarray:
        """float32 [n, len(names)] from shelf features: with a stack, `pairs` must hold all candidate pairs of every offer to be judged."""
        first = self.first_columns(pairs, features)
        return first if self.stack is None else np.hstack([first, self.stack.columns(pairs, first, self.first.log_odds(first))])

    def log_odds(self, features: np.ndarray) -> np.ndarray:
        """float64 [n] from features float32 [n, len(names)]. Raises ValueError on others."""
        if features.ndim != 2 or features.shape[1] != len(self.names):
            raise ValueError(f"this scorer looks at {len(self.names)} columns, not {features.shape[1:]}")
        odds = self.forest.log_odds(features[:, : self.forest.features]) * self._share
        return odds + SHARE * features[:, len(self.names) - 1] if self._adds else odds

    def score(self, features: np.ndarray) -> np.ndarray:
        """Probability of being the same product, float64 [n], from features float32 [n, f]."""
        return trees.probability(self.log_odds(features))

    def chance(self, scores: np.ndarray) -> np.ndarray:
        """Scores as people should read them: the chance that audits say they stand for; the scores themselves where nothing was audited."""
        if PLATT[0] not in self.numbers:
            return scores
        return trees.probability(self.numbers[PLATT[0]] * trees.log_odds(scores) + self.numbers[PLATT[1]])

    def contributions(self, features: np.ndarray) -> np.ndarray:
        """float64 [n, f + 1]: what each feature adds to the log-odds, and last what no feature explains; a row sums to `log_odds`."""
        total = np.zeros((features.shape[0], len(self.names) + 1))
        for booster in self._boosters:
            width = booster.num_feature()  # trees without labels do not know what stands behind their columns
            told = np.asarray(booster.predict(features[:, :width], pred_contrib=True, num_threads=1))
            total[:, :width] += told[:, :width]
            total[:, -1] += told[:, -1]
        total *= self._share
        if self._adds:
            total[:, len(self.names) - 1] += SHARE * features[:, len(self.names) - 1]
        return total

    @property
    def most_sure(self) -> float:
        """The highest chance that it was taught to give."""
        return _most_sure(self.numbers) if self.kind == "unsupervised" else 1.0

    @property
    def _adds(self) -> bool:
        """Whether what tells products apart is added to what the trees say; the trees over learned columns weigh it themselves."""
        return self.apart is not None and self.stack is None

    def _texts(self) -> dict[str, str]:
        """What the columns behind the shelf's are made of, by file name."""
        return {**({APART_FILE: self.apart.to_text()} if self.apart else {}), **(self.stack.texts() if self.stack else {})}

    @property
    def _share(self) -> float:
        """What each part counts: parts over learned columns are repeats whose mean is taken, others correct each other."""
        return 1.0 / len(self.parts) if self.stack else 1.0

    def save(self, folder: Path) -> None:
        """Write model.json and one text file a part into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        for place, part in enumerate(self.parts):
            (folder / TREES_FILE.format(place)).write_text(part, encoding="utf-8", newline="\n")
        for name, text in self._texts().items():
            (folder / name).write_text(text, encoding="utf-8", newline="\n")
        (folder / SETTINGS_FILE).write_text(json.dumps({"model_id": self.model_id, **json.loads(self._described())}, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Model:
        """Read what `save` wrote. Raises BadInput when it is missing, of another kind, or was altered; see `stored` for what a catalog keeps."""
        where = f"{folder.name}/{SETTINGS_FILE}"
        try:
            given = json.loads((folder / SETTINGS_FILE).read_text(encoding="utf-8"))
            if not isinstance(given, dict) or given.get("format") != FORMAT:
                raise BadInput("this is not a pair scorer of endcap", where=where, todo="name another model or fit a new one with `endcap train`")
            parts = tuple((folder / TREES_FILE.format(place)).read_text(encoding="utf-8") for place in range(int(given["parts"])))
            texts = {name: (folder / name).read_text(encoding="utf-8") for name in given["stack"]}
            apart = Difference.from_text(texts.pop(APART_FILE)) if APART_FILE in texts else None
            stack = Stack.from_texts(texts) if texts else None
            own = tuple(int(name, 16) for name in given.get("own_details", ()))
            model = cls(str(given["kind"]), tuple(given["names"]), parts, given["settings"], given["numbers"], stack, apart, own)
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
            raise BadInput("the pair scorer cannot be read", where=where, todo="name another model or fit a new one with `endcap train`") from None
        if model.model_id != given.get("model_id"):
            raise BadInput("the pair scorer was altered after it was saved", where=where, todo="roll back to another model or fit a new one")
        _check_features(model.names, where)
        _check_trees(model, where)
        return model

    @classmethod
    def stored(cls, folder: Path, model_id: str) -> Model:
        """As `load`, of the folder that is to hold this very model: the files of another one are refused too, with BadInput."""
        model = cls.load(folder)
        if model.model_id != model_id:
            where, todo = f"{model_id}/{SETTINGS_FILE}", "roll back to another model or fit a new one"
            raise BadInput(f"the files kept as {model_id} are those of the pair scorer {model.model_id}", where=where, todo=todo)
        return model

    def _described(self) -> str:
        about: dict[str, Any] = {"format": FORMAT, "kind": self.kind, "names": list(self.names), "parts": len(self.parts), "stack": list(self._texts())}
        if self.own_details:
            about["own_details"] = [f"{name:016x}" for name in self.own_details]
        return json.dumps({**about, "settings": self.settings, "numbers": self.numbers}, sort_keys=True)


def feature_names() -> tuple[str, ...]:
    """The features on the shelf, in the order of the columns."""
    return shelf.names("features")


def fit_unsupervised(
    features: np.ndarray, names: Sequence[str] | None = None, *, seed: int, tell: Callable[[np.ndarray], Difference | None] | None = None,
    own_details: tuple[int, ...] = (), teach: Callable[[Callable[[np.ndarray], np.ndarray]], tuple[np.ndarray, np.ndarray]] | None = None,
) -> Model:  # fmt: skip
    """Fit without labels from the features float32 [n, f] of candidate pairs; see the head of this file.

    `tell` says, from the scores of these pairs, what tells products apart (see `apart`); it is left out where nobody does. `own_details` are those
    that the features leave out (see `details`). `teach` gives, from a scorer, features [m, f] and chances [m] of pairs of one feed (see `listings`).
    """
    names = tuple(names or feature_names())
    model = _fit_trees(features, names, seed)
    if teach is not None and features.shape[0]:
        model = _fit_trees(features, names, seed, teach(model.score))
    model = replace(model, own_details=own_details)
    scores = model.score(features) if tell is not None and features.shape[0] else np.zeros(0)
    apart = tell(scores) if tell is not None and teaches(scores) else None
    return model if apart is None else replace(model, names=(*model.names, TOLD_APART), apart=apart)


def _fit_trees(features: np.ndarray, names: tuple[str, ...], seed: int, taught: tuple[np.ndarray, np.ndarray] | None = None) -> Model:
    """The trees without labels; of pairs of one feed the last ones learn what is `taught`, features [m, f] and chances [m]."""
    rows = np.random.default_rng(seed).permutation(features.shape[0])[:FIT_PAIRS]
    features = features[np.sort(rows)]
    gtin = features[:, names.index("gtin")]
    believed = min(1.0, float(min((gtin == 1).sum(), (gtin == 0).sum())) / ENOUGH_GTINS)
    together, numbers = (None, {}) if believed == 1.0 else _taught_by_context(features, names, seed)
    if believed * ENOUGH_GTINS >= FEW_GTINS:
        by_gtins, counts = _taught_by_gtins(features, names, seed)
        together, numbers = believed * by_gtins + (1 - believed) * (by_gtins if together is None else together), numbers | counts
    if together is None:
        return _prior_only(names, seed)
    agree, differ = _gtin_evidence(gtin, trees.probability(together))
    target = trees.probability(together + np.where(gtin == 1, agree, np.where(gtin == 0, differ, 0.0))) * _most_sure(numbers)
    if taught is not None:
        rows = np.sort(np.random.default_rng(seed).permutation(taught[1].size)[:FIT_PAIRS])
        two = features[:, names.index(ONE_FEED)] == 0
        features, target = np.vstack([features[two], taught[0][rows]]), np.concatenate([target[two], taught[1][rows]])
        numbers |= {"listings": float(taught[1].size), MOST_OF_LISTINGS: float(taught[1].max(initial=0.0))}
    student = _grow(features, target, names, np.ones(len(names), dtype=bool), seed, rounds=150, leaves=15)
    numbers |= {
        "pairs": float(features.shape[0]), "expected_matches": float(round(target.sum(), 1)),
        "gtin_agree": round(agree, 4), "gtin_differ": round(differ, 4),
    }  # fmt: skip
    return Model("unsupervised", names, (student,), {"seed": seed, "clear_margin": CLEAR_MARGIN}, numbers)


def fit_labelled(features: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None, *, seed: int, base: Model | None = None) -> Model:
    """Fit on labels (1 = same product) of pairs with features float32 [n, f] of the shelf, or of `base.first_names`.

    With a `base` the trees correct its part that was fitted without labels, so that few labels cannot make it forget what it knows.
    Raises BadInput when all labels say the same.
    """
    names, apart, own = (base.first_names, base.apart, base.own_details) if base else (feature_names(), None, ())
    labels = np.asarray(labels, dtype=np.float64)
    _check_both(labels)
    parts = (base.base_part,) if base else ()
    start = base.first.log_odds(features) if base else None
    part = _grow(features, labels, names, np.ones(len(names), dtype=bool), seed, rounds=100, leaves=7, weights=weights, start=start)
    settings = {"seed": seed, "trees": 100, "leaves": 7}
    return Model("lightgbm", names, (*parts, part), settings, {"labels": float(labels.size), "same": float(labels.sum())}, None, apart, own)


def fit_stacked(
    pairs: Pairs, features: np.ndarray, labelled: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None, *, seed: int, base: Model,
    asked: np.ndarray | None = None,
) -> tuple[Model, np.ndarray]:  # fmt: skip
    """(model, its columns float32 [n, len(names)] of all given pairs) from many labels: trees over `base.first_names` and learned columns.

    `pairs` with features of these names [n, f] hold all candidate pairs of the labelled offers, `labelled` the places of labelled ones among them.
    Columns of labelled pairs are from parts that have not seen their product; where `asked` names places, the learned columns of pairs
    neither labelled nor asked for are NaN.
    Raises BadInput when all labels say the same.
    """
    labels = np.asarray(labels, dtype=np.float64)
    _check_both(labels)
    weights = np.ones(labels.size) if weights is None else np.asarray(weights, dtype=np.float64)
    first = base.first.log_odds(features)
    stack, learned = fit_stack(pairs, features, first, labelled, labels, weights, base.base_part, seed=seed, asked=asked)
    columns = np.hstack([features, learned])
    return _weigh(
        Model("stacked", (*base.first_names, *LEARNED), (), stack=stack, apart=base.apart, own_details=base.own_details),
        columns[labelled],
        labels,
        weights,
        seed,
    ), columns


def refit(model: Model, columns: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None, *, seed: int) -> Model:
    """A model of the same kind, on the same learned columns float32 [n, f], from other labels: what cross-fitting needs."""
    if model.stack is None:
        return fit_labelled(columns, labels, weights, seed=seed, base=model)
    _check_both(np.asarray(labels))
    return _weigh(model, columns, np.asarray(labels, dtype=np.float64), weights, seed)


def _weigh(model: Model, columns: np.ndarray, labels: np.ndarray, weights: np.ndarray | None, seed: int) -> Model:
    """The model with its last trees, over all columns."""
    parts = [trees.grow(columns, labels, model.names, REPEATS * seed + repeat, trees=200, leaves=15, weights=weights, least=10) for repeat in range(REPEATS)]
    counts = {"labels": float(labels.size), "same": float(labels.sum())}
    return replace(model, parts=tuple(parts), settings={"seed": seed, "trees": 200, "leaves": 15, "repeats": REPEATS}, numbers=counts)


def _check_both(labels: np.ndarray) -> None:
    if labels.size == 0 or labels.min() == labels.max():
        raise BadInput("the labels hold only one answer", where=f"{labels.size} labels", todo="answer until there are some of both, same and different")


def _check_features(names: tuple[str, ...], where: str) -> None:
    unknown = sorted(set(names) - set(feature_names()) - set(LEARNED) - {TOLD_APART})
    if unknown:
        raise BadInput(f"the pair scorer needs features that are not on the shelf: {', '.join(unknown)}", where=where, todo="install the plugin that has them")


def _check_trees(model: Model, where: str) -> None:
    """LightGBM ends the process on some texts that are not its own, so that they are read here before it sees them."""
    try:
        known = (
            bool(model.parts) and all(_is_over(part, model) for part in model.parts) and (model.first_names[-1:] == (TOLD_APART,)) == (model.apart is not None)
        )
    except ValueError:
        known = False
    if not known:
        raise BadInput("the pair scorer holds no trees over its features", where=where, todo="roll back to another model or fit a new one")


def _is_over(part: str, model: Model) -> bool:
    """Whether trees, as text, look at all of a model's columns, or at those of the shelf where they were grown before the others came."""
    widths = [len(names) for names in (model.names, model.shelf_names) if f"\nfeature_names={' '.join(names)}\n" in part]
    return bool(widths) and read_forest(part).features == widths[0] and "\nend of trees\n" in part


def _most_sure(numbers: Mapping[str, float]) -> float:
    """The highest chance that a scorer without labels gives, from the counts of its seeds (Clopper and Pearson 1934, one of them wrong)."""
    seeds = int(numbers.get("seeds_same", FEW_SEEDS) + numbers.get("gtins_same", 0))
    if seeds >= FEW_SEEDS:
        return 1.0
    low, high = 0.0, 1.0  # the share of wrong ones at which one or none of them is found in one draw of twenty
    while high - low > 1e-9:
        middle = (low + high) / 2
        few = (1 - middle) ** seeds + seeds * middle * (1 - middle) ** max(0, seeds - 1)
        low, high = (middle, high) if few > 0.05 else (low, middle)
    return 1 - high


def _taught_by_context(features: np.ndarray, names: tuple[str, ...], seed: int) -> tuple[np.ndarray | None, dict[str, float]]:
    """(log-odds float64 [n], counts) by co-training from pairs whose context leaves little doubt; None where there are none."""
    views = np.array([shelf.component("features", name).VIEW for name in names])
    best, worst, margin, share = (features[:, names.index(name)] for name in ("rank_best", "rank_worst", "margin_low", "share_of_best"))
    nearest = (worst == 1) & ~_contradicted(features, names)
    same = nearest & (margin >= CLEAR_MARGIN) & (share >= NEAR_ENOUGH)
    different = ((best >= 2) | ((worst >= 3) & (margin < -CLEAR_MARGIN)) | ((worst == 1) & ~nearest)) & ~same
    counts = {"seeds_same": float(same.sum()), "seeds_different": float(different.sum())}
    if not same.any() or not different.any():
        return None, counts
    # Seeds are the clear cases only; their weight stands for all pairs that are each other's nearest.
    used = same | different
    weights = np.where(same, max(1.0, nearest.sum() / same.sum()), 1.0)[used]
    content = _teach(features[used], same[used].astype(np.float64), names, views == "content", seed, weights)(features)
    stands = _teach(features, content, names, views == "context", seed)(features)
    return JOINT_SHARE * (trees.log_odds(content) + trees.log_odds(stands) - trees.log_odds(content.mean())), counts


def _contradicted(features: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """bool [n]: stated amounts, pack counts, colours, details or, where these mostly agree, brands differ: siblings, however near."""
    amount, pack, colour, detail = (features[:, names.index(name)] for name in ("quantity_agreement", "pack_agreement", "colour_agreement", "detail_agreement"))
    return (amount < 1) | (pack == -1) | (colour == 0) | (detail < 1) | _other_brand(features, names)


def _other_brand(features: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """bool [n]: both state a brand, and not the same; nobody does where offers that are each other's nearest mostly name it each in their own way."""
    brand = features[:, names.index("brand")]
    stated = brand[(features[:, names.index("rank_worst")] == 1) & ~np.isnan(brand)]
    return (brand == 0) & (stated.size > 0 and float(stated.mean()) >= MOSTLY)


def _taught_by_gtins(features: np.ndarray, names: tuple[str, ...], seed: int) -> tuple[np.ndarray, dict[str, float]]:
    """(log-odds float64 [n], counts) from pairs that both state a GTIN, each half judged by what the other half taught."""
    views = np.array([shelf.component("features", name).VIEW for name in names])
    gtin = features[:, names.index("gtin")]
    known, same = ~np.isnan(gtin), gtin == 1
    half = np.random.default_rng(seed).permutation(features.shape[0]) % 2
    taught = [_teach(features[known & (half == side)], same[known & (half == side)].astype(np.float64), names, views != "key", seed) for side in (0, 1)]
    answers = [trees.log_odds(teacher(features)) for teacher in taught]
    together = np.where(known, np.where(half == 0, answers[1], answers[0]), (answers[0] + answers[1]) / 2)
    return together, {"gtins_same": float(same.sum()), "gtins_different": float((gtin == 0).sum())}


def _teach(features: np.ndarray, target: np.ndarray, names: tuple[str, ...], view: np.ndarray, seed: int, weights: np.ndarray | None = None) -> Any:
    """Fit on one view; returns a function from features [n, f] to probabilities."""
    part = _grow(features, target, names, view, seed, rounds=100, leaves=8, weights=weights)
    return Model("unsupervised", names, (part,)).score


def _gtin_evidence(gtin: np.ndarray, probability: np.ndarray) -> tuple[float, float]:
    """Log-odds that a shared and a contradicting GTIN add, from how often they do so in likely and in unlikely pairs."""
    known = ~np.isnan(gtin)
    likely, unlikely = known & (probability >= SURE), known & (probability <= 1 - SURE)
    # One answer of each kind is assumed, so that a handful of GTINs cannot count as proof.
    agree_same = (gtin[likely] == 1).sum() + 1.0
    agree_different = (gtin[unlikely] == 1).sum() + 1.0
    same, different = likely.sum() + 2.0, unlikely.sum() + 2.0
    agree = np.log((agree_same / same) / (agree_different / different))
    differ = np.log((1 - agree_same / same) / (1 - agree_different / different))
    return float(np.clip(agree, 0.0, 6.0)), float(np.clip(differ, -6.0, 0.0))


def _prior_only(names: tuple[str, ...], seed: int) -> Model:
    """A scorer that says 'unlikely' to all: there was no pair to learn from."""
    features = np.zeros((2, len(names)), dtype=np.float32)
    part = _grow(features, np.array([0.0, 0.1]), names, np.ones(len(names), dtype=bool), seed, rounds=1, leaves=2)
    return Model("unsupervised", names, (part,), {"seed": seed}, {"pairs": 0.0, "seeds_same": 0.0})


def _grow(
    features: np.ndarray, target: np.ndarray, names: tuple[str, ...], view: np.ndarray, seed: int, *, rounds: int, leaves: int,
    weights: np.ndarray | None = None, start: np.ndarray | None = None,
) -> str:  # fmt: skip
    """Boosted trees for targets 0..1 as LightGBM text; features outside the view are left out of every split."""
    directions = [1 if name == TOLD_APART else shelf.component("features", name).DIRECTION for name in names]
    seen = np.where(view, features, np.float32(0.0))
    return trees.grow(seen, target, names, seed, trees=rounds, leaves=leaves, directions=directions, weights=weights, start=start)
