"""Writes a world's deliveries and its truth: supplier after supplier, offer after offer, to the files of every day at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from endcap.sandbox.assortment import Carried, Churn, carried_by
from endcap.sandbox.forms import Form, encoder, form
from endcap.sandbox.incidents import ERROR_PAGE, RENAMED, Incident
from endcap.sandbox.offer import SentOffer, State, Truth, category_levels, sent_offer
from endcap.sandbox.product import BLOCK, Product, product
from endcap.sandbox.suppliers import SUPPLIERS, Supplier

NO_DAY = 1 << 30
LURE_CENTS = 1_500
TRUTH_HEADER = "feed,source_id,offer_id,date_from,product,category,brand,pack_count,quantity,unit,colour,kind,resolvable\n"


@dataclass(frozen=True)
class Plan:
    """Everything that decides a world's bytes."""

    seed: int
    products: int
    dates: tuple[str, ...]
    churn: Churn
    incidents: tuple[Incident, ...]
    hijacks: int

    def carried(self, place: int) -> Iterator[Carried]:
        """The offers of one supplier."""
        return carried_by(self.seed, place, self.products, self.churn, len(self.dates))

    def product(self, index: int) -> Product:
        """A product of this world; indexes past the last begin again."""
        return product(self.seed, index % self.products, -(-self.products // BLOCK))


def write(plan: Plan, folder: Path) -> dict[str, int]:
    """Write the inbox and the truth of a world; gives the number of offers sent on each date."""
    totals = [0] * len(plan.dates)
    (folder / "truth").mkdir(parents=True, exist_ok=True)
    with (folder / "truth" / "offers.csv").open("w", encoding="utf-8", newline="") as truth:
        truth.write(TRUTH_HEADER)
        for place in range(len(SUPPLIERS)):
            counts = _SupplierWriter(plan, place, folder, truth).run()
            totals = [total + count for total, count in zip(totals, counts, strict=True)]
    rows = [incident.row() for incident in plan.incidents]
    (folder / "truth" / "incidents.json").write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return dict(zip(plan.dates, totals, strict=True))


def first_day(plan: Plan) -> Iterator[tuple[str, SentOffer]]:
    """The first day's offers without files: (feed, offer as sent)."""
    for place, supplier in enumerate(SUPPLIERS):
        for offer in plan.carried(place):
            if offer.history.born == 0:
                yield supplier.name, sent_offer(plan.seed, offer.product, place, offer.number, State(), second=offer.second)


class _SupplierWriter:
    """All deliveries of one supplier and its part of the truth."""

    def __init__(self, plan: Plan, place: int, folder: Path, truth: TextIO) -> None:
        self.plan, self.place, self.supplier, self.truth = plan, place, SUPPLIERS[place], truth
        self.incidents = {incident.kind: incident for incident in plan.incidents if incident.feed == self.supplier.name}
        self.encode, self.fill = encoder(self.supplier), filler(self.supplier)
        self.no_mpn_day = self.incidents["no_mpn"].day if "no_mpn" in self.incidents else NO_DAY
        self.drop_day = self.incidents["drop"].day if "drop" in self.incidents else NO_DAY
        self.forms = [self._form(folder, day, date) for day, date in enumerate(plan.dates)]
        self.counts = [0] * len(plan.dates)

    def _form(self, folder: Path, day: int, date: str) -> Form | None:
        """The day's file, or None where something else lies in its place."""
        file = folder / "inbox" / date / self.supplier.file
        file.parent.mkdir(parents=True, exist_ok=True)
        today = {kind for kind, incident in self.incidents.items() if incident.day == day}
        if "error_page" in today:
            file.write_bytes(ERROR_PAGE)
            return None
        return form(self.supplier, file, date, RENAMED if "schema_change" in today else {})

    def run(self) -> list[int]:
        """Write everything; gives the number of offers sent on each day."""
        hijack = self.incidents.get("hijack")
        for offer in self.plan.carried(self.place):
            if hijack is None or len(hijack.offers) >= self.plan.hijacks or not _is_lure(offer, hijack.day):
                self._write(offer, NO_DAY)
            elif len(hijack.offers) % 2:  # a new offer beside the honest one
                self._write(offer, NO_DAY)
                self._hijack(offer._replace(number=offer.number + 2 * self.plan.products, history=offer.history._replace(born=hijack.day)), hijack)
            else:  # an honest offer turns
                self._hijack(offer, hijack)
        for written in filter(None, self.forms):
            written.close()
        return self.counts

    def _hijack(self, offer: Carried, incident: Incident) -> None:
        incident.offers.append(f"{self.supplier.name}:{self.supplier.id_form.format(offer.number)}")
        self._write(offer, incident.day)

    def _write(self, offer: Carried, hijack_day: int) -> None:
        """Send an offer on each of its days; it is written anew only when something about it changed."""
        history, plan = offer.history, self.plan
        last: tuple[State, SentOffer, Any] | None = None
        told: Truth | None = None
        for day in range(history.born, min(history.died, len(self.forms))):
            lure = offer.product if day >= hijack_day else None
            state = State(history.price_days[day], history.title_days[day], day >= self.no_mpn_day, lure)
            if last is None or state != last[0]:
                sold = self._other_goods(offer.product) if lure else offer.product
                made = sent_offer(plan.seed, sold, self.place, offer.number, state, second=offer.second)
                last = (state, made, self._row(made, sold))
            if last[1].truth != told:
                told = last[1].truth
                self.truth.write(self._truth_row(last[1], day))
            written = self.forms[day]
            if written and (offer.kept or day != self.drop_day):
                self.counts[day] += 1
                for _ in range(1 + last[1].repeated):
                    written.write(last[2])

    def _row(self, made: SentOffer, sold: Product) -> Any:
        row = self.encode(self.fill(made.texts, sold))
        if made.ragged and self.supplier.form == "csv":
            return _ragged(row, self.supplier.delimiter.encode())
        return row

    def _other_goods(self, lure: Product) -> Product:
        """What a hijacker really sells: a product of another department, where there is one."""
        others = (self.plan.product(lure.key + 997 * BLOCK * step) for step in range(1, 50))
        return next((other for other in others if other.goods.department != lure.goods.department), self.plan.product(lure.key + 1))

    def _truth_row(self, made: SentOffer, day: int) -> str:
        truth, feed, source_id = made.truth, self.supplier.name, made.texts["id"]
        values = (
            feed, source_id, f"{feed}:{source_id}", self.plan.dates[day], truth.product, truth.category, truth.brand, str(truth.pack_count),
            truth.quantity, truth.unit, truth.colour, truth.kind, "true" if truth.resolvable else "false",
        )  # fmt: skip
        return ",".join(values) + "\n"


def _is_lure(offer: Carried, day: int) -> bool:
    """Whether an offer's product is worth a hijacker's while: popular, not cheap, and there before and on the day."""
    return offer.popular and offer.product.cents >= LURE_CENTS and offer.history.born == 0 and offer.history.died > day


def _ragged(row: bytes, mark: bytes) -> bytes:
    """A row with a cell too many or too few, which one by its length."""
    body = row.removesuffix(b"\r\n")
    return (body + mark + b"?" if len(body) % 2 else body.rpartition(mark)[0]) + b"\r\n"


def filler(supplier: Supplier) -> Callable[[dict[str, str], Product], Mapping[str, str]]:
    """The function that completes the texts of an offer with what its supplier's columns also need."""
    needed = {source for _, source in supplier.columns}
    site = f"https://{supplier.name}.example"

    def fill(texts: dict[str, str], sold: Product) -> Mapping[str, str]:
        levels = category_levels(sold.goods, supplier)
        texts["category"] = supplier.path_mark.join(levels)
        if "category_first" in needed:
            texts["category_first"], texts["category_last"] = levels[0], supplier.path_mark.join(levels[1:])
        if "category_list" in needed:
            texts["category_list"] = json.dumps([{"name": level} for level in levels], ensure_ascii=False)
        is_there = texts["available"] == "true"
        texts["available_german"] = "ja" if is_there else "nein"
        texts["available_google"] = "in_stock" if is_there else "out_of_stock"
        texts["url"] = f"{site}/p/{texts['number']}"
        texts["image"] = f"{site}/img/{texts['number']}.jpg"
        if "image_list" in needed:
            texts["image_list"] = f'[{{"url":"{texts["image"]}"}}]'
        return texts

    return fill
