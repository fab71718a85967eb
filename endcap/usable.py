"""What a run decides with: the champion and what is known of brands and categories, or the last good ones before them, said loudly."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from endcap.infer import learn_known, load_known
from endcap.infer.known import Known
from endcap.journey import Journey
from endcap.learn.promote import PROMOTED_KNOWN
from endcap.match import Model
from endcap.problems import BadInput


def what_is_known(journey: Journey, con: duckdb.DuckDBPyConnection) -> Known:
    """What is known of brands and categories: what was promoted, or learnt at the first load and whenever the catalog has outgrown it.

    What was promoted stays while the taxonomy is the one that it was learnt for. What cannot be read is passed over, loudly.
    """
    promoted = journey.models.get(PROMOTED_KNOWN)
    if promoted and not journey.other_house and (journey.new_known or journey.models.get("infer") == promoted):
        wanted = [promoted, *journey.home.past_champions("infer")]
    else:
        wanted = [journey.models["infer"]] if "infer" in journey.models and not journey.outgrown else []
    known = _usable_known(journey, wanted)
    if known is not None:
        return known
    taxonomy = Path(journey.catalog.root / journey.catalog.taxonomy) if journey.catalog.taxonomy else None
    known = learn_known(con.sql("SELECT * FROM offers ORDER BY offer_id").to_arrow_table(), taxonomy, seed=journey.catalog.matching.seed)
    known.save(journey.home.model_folder(known.known_id))
    journey.models["infer"] = known.known_id
    return known


def _usable_known(journey: Journey, wanted: Sequence[str]) -> Known | None:
    """The first of these that can be read; None where none can, so that it is to be learnt again."""
    refused = ""
    for known_id in dict.fromkeys(wanted):
        try:
            known = load_known(journey.home.model_folder(known_id))
        except BadInput as problem:
            refused = refused or f"{problem.what} ({problem.where})"
            continue
        if refused:
            journey.notices.append(f"WARNING {refused}; this run read offers by {known_id}, the last good one before it")
        journey.models["infer"] = known_id
        return known
    if refused:
        journey.notices.append(f"WARNING {refused}; it was learnt again from the offers of now")
    return None


def usable_champion(journey: Journey) -> Model | None:
    """The champion; where its files cannot be used, the last champion before it that can, said loudly. None: one is to be fitted."""
    past = [journey.champion, *journey.home.past_champions("match")]
    refused = ""
    for model_id in dict.fromkeys(past):
        if model_id is None:
            continue
        try:
            model = Model.stored(journey.home.model_folder(model_id), model_id)
        except BadInput as problem:
            refused = refused or f"the champion {model_id} cannot be used: {problem.what} ({problem.where})"
            continue
        if refused:
            journey.fallen_back = refused
            journey.notices.append(f"WARNING {refused}; this run decided with {model_id}, the last good one before it")
            journey.champion = model_id
        return model
    if refused:
        journey.notices.append(f"WARNING {refused}; no earlier one can be used either, so that one was fitted without labels")
        journey.fallen_back = refused
    return None


def learned_anew(journey: Journey, model: Model | None) -> bool:
    """Whether every pair must be compared anew: a new champion learned columns that stored pairs do not hold, or the one before did, or none is left."""
    if model is None:
        return bool(journey.fallen_back)
    before = journey.base.models.get("match")
    if not journey.new_champion or before is None:
        return False
    try:
        return model.stack is not None or Model.stored(journey.home.model_folder(before), before).stack is not None
    except BadInput:  # nobody knows what the stored pairs hold
        return True
