"""The ten suppliers of every world: what they carry, how they write, which mistakes they make, how their feed looks."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from endcap.sandbox.style import ENGLISH, GERMAN, Style

ALL = ("electronics", "grocery", "care", "fashion", "diy", "toys")
BRAND_FIRST = ("brand", "line", "noun", "code", "specs", "flavour", "content", "colour", "size")
CODE_FIRST = ("brand", "code", "line", "noun", "specs", "flavour", "colour", "size", "content")
NOUN_FIRST = ("noun", "brand", "line", "specs", "flavour", "content", "colour", "size", "code")
BRAND_LAST = ("line", "noun", "specs", "flavour", "colour", "content", "size", "code", "brand")
# Offer fields that a column feeds by what stands in it; other columns are mapped as details or not at all.
OFFER_FIELDS: dict[str, str] = {
    "id": "id", "title": "title", "brand": "brand", "description": "description", "category": "category", "gtin": "gtin", "mpn": "mpn", "price": "price",
    "currency": "currency", "quantity": "quantity", "url": "url", "image": "image", "available": "available", "available_german": "available",
    "available_google": "available",
}  # fmt: skip
DETAILS = ("colour", "size")


@dataclass(frozen=True)
class Habits:
    """Share of offers with each mistake."""

    no_brand: float = 0.02
    no_title: float = 0.001
    wrong_check_digit: float = 0.002
    ruined_gtin: float = 0.0  # 4,01234E+12
    entities: float = 0.0
    mojibake: float = 0.0
    repeated: float = 0.0  # the same row twice
    twice_listed: float = 0.0  # the same product under a second id
    ragged: float = 0.0
    from_price: float = 0.0
    negative_price: float = 0.0005
    no_price: float = 0.002


def _columns(text: str) -> tuple[tuple[str, str], ...]:
    """'EAN: gtin | Preis: price' as (where in the record, what stands there)."""
    pairs = (entry.rpartition(":") for entry in text.split("|"))
    return tuple((path.strip(), source.strip()) for path, _, source in pairs)


@dataclass(frozen=True, eq=False)
class Supplier:
    """One supplier and its feed."""

    name: str
    words: str  # what a person would write above it in the settings
    file: str
    form: str
    options: dict[str, str | int]
    columns: tuple[tuple[str, str], ...]
    style: Style
    departments: tuple[str, ...]
    weight: float  # how much of its departments it carries
    gtin_share: float
    mpn_share: float
    paths: str  # its category tree: german | english | german_leaf | english_leaf | code
    path_mark: str  # between the levels of a category
    price_form: str  # number | currency | cents
    id_form: str = "{}"
    habits: Habits = field(default_factory=Habits)
    mapped: dict[str, str] = field(default_factory=dict)  # settings of fields that are not just a column
    comma: bool = False  # decimal comma, thousands with a point
    row_cap: int = 0  # largest number of rows; 0: any

    @cached_property
    def fields(self) -> dict[str, str]:
        """The mapping from offer fields to settings text: what stands in the columns, then what is said in `mapped`."""
        plain = {OFFER_FIELDS[source]: _local(path, self.form) for path, source in self.columns if source in OFFER_FIELDS}
        both = plain | self.mapped
        return {name: both[name] for name in dict.fromkeys(OFFER_FIELDS.values()) if name in both}

    @cached_property
    def details(self) -> dict[str, str]:
        """Columns that are no field of an offer but worth keeping."""
        return {source: _local(path, self.form) for path, source in self.columns if source in DETAILS}

    @property
    def delimiter(self) -> str:
        """What stands between the cells of a CSV row."""
        given = str(self.options["delimiter"])
        return "\t" if given == "tab" else given


def _local(path: str, form: str) -> str:
    """A column as a mapping names it: XML without its namespace."""
    return path.rpartition(":")[2] if form == "xml" else path


EUR = "{constant: EUR}"

SUPPLIERS: tuple[Supplier, ...] = (
    Supplier(
        "elektro-hansa", "Electronics and tools from Hamburg. Exported from their ERP, hence cp1252 and decimal commas.",
        "elektro-hansa.csv", "csv", {"encoding": "cp1252", "delimiter": ";"},
        _columns(
            "Artikelnummer:id | Bezeichnung:title | Hersteller:brand | Herstellernummer:mpn | EAN:gtin | Warengruppe:category_first | Untergruppe:category_last"
            "| Preis brutto:price | Farbe:colour | Lagerstatus:available_german | Langtext:description | Link:url"
        ),
        Style(GERMAN, (BRAND_FIRST, CODE_FIRST), "comma", "er", code_share=0.8, spec_share=0.75),
        ("electronics", "diy", "toys"), 1.1, 0.62, 0.8, "german", " > ", "number", "EH-{:06d}",
        Habits(ruined_gtin=0.03, ragged=0.01, no_brand=0.03, entities=0.01),
        {"category": '{join: [Warengruppe, Untergruppe], separator: " > "}', "currency": EUR}, comma=True,
    ),
    Supplier(
        "markthalle", "Supermarket; their shop API, one page per night. The title leaves the brand to its own field.",
        "markthalle.json.gz", "json", {"records": "data.products"},
        _columns(
            "sku:id | name:title | brand.name:brand | identifiers.ean:gtin | breadcrumb:category_list | pricing.gross_cents:price | pricing.currency:currency"
            "| packaging.content:quantity | media:image_list | stock.online:available | text:description"
        ),
        Style(GERMAN, (("line", "noun", "specs", "flavour", "size", "colour", "content"),), "comma", "times", brand_share=0.0, variant_share=0.97),
        ("grocery", "care"), 1.5, 0.93, 0.0, "german", " > ", "cents", "{:07d}", Habits(no_brand=0.01, repeated=0.004),
        {"category": '{path: "breadcrumb.*.name", separator: " > "}', "price": "{path: pricing.gross_cents, unit: cents}", "image": "media.0.url"},
    ),
    Supplier(
        "nordkorb", "Cash and carry. Atom feed in Google's vocabulary; titles are shortened to fit a shelf label.", "nordkorb.xml", "xml", {"record": "entry"},
        _columns(
            "g:id:id | title:title | g:brand:brand | g:gtin:gtin | g:product_type:category | g:price:price | g:availability:available_google"
            "| g:unit_pricing_measure:quantity | summary:description | link:url"
        ),
        Style(GERMAN, (BRAND_FIRST, BRAND_LAST), "plain", "times", abbreviated=True, spec_share=0.35, variant_share=0.88, colour_share=0.3),
        ("grocery", "care", "toys"), 1.2, 0.48, 0.0, "german", " > ", "currency", "NK{:08d}", Habits(no_brand=0.06, wrong_check_digit=0.006),
    ),
    Supplier(
        "brightcart", "Online department store; the feed they also send to Google Merchant Center (RSS).", "brightcart.xml", "xml", {"record": "item"},
        _columns(
            "g:id:id | g:title:title | g:description:description | g:brand:brand | g:gtin:gtin | g:mpn:mpn | g:product_type:category | g:price:price"
            "| g:color:colour | g:size:size | g:availability:available_google | g:link:url | g:image_link:image"
        ),
        Style(
            ENGLISH, (BRAND_FIRST, NOUN_FIRST), "point", "of", code_share=0.6, spec_share=0.7, size_word="Size", marketing_share=0.35,
            marketing=("NEW!", "- Best Price", "- Free Shipping", "| Top Deal", "2-Year Warranty", "- Limited Offer"),
        ),
        ALL, 0.75, 0.95, 0.5, "english", " > ", "currency", "bc-{}", Habits(entities=0.03, no_brand=0.01),
    ),
    Supplier(
        "kontor-buero", "Office supplies; a price list kept by hand in Excel. The table starts in row 3.",
        "kontor-buero.xlsx", "xlsx", {"sheet": "Preisliste", "header_row": 3},
        _columns(
            "Artikelnr:id | Artikel:title | Marke:brand | EAN-Code:gtin | Hersteller-Nr:mpn | Kategorie:category | Preis EUR:price | Inhalt:quantity"
            "| verfügbar:available_german"
        ),
        Style(GERMAN, (NOUN_FIRST,), "spaced", "pcs", code="lower", code_share=0.7, spec_share=0.5, variant_share=0.9, brand_share=0.8),
        ("electronics", "grocery"), 0.7, 0.7, 0.55, "german_leaf", " > ", "number", "{}", Habits(ruined_gtin=0.12, no_brand=0.08, from_price=0.004),
        {"currency": EUR}, row_cap=20_000,
    ),
    Supplier(
        "harbor-wholesale", "Importer; nightly Parquet drop. Knows part numbers, has never heard of GTINs.", "harbor-wholesale.parquet", "parquet", {},
        _columns(
            "item_code:id | item_name:title | manufacturer:brand | part_number:mpn | class:category | unit_price:price | currency:currency | in_stock:available"
            "| pack_size:quantity"
        ),
        Style(
            ENGLISH, (CODE_FIRST,), "plain", "pcs", code="bare", code_share=0.85, own_code_share=0.8, spec_share=0.4, colour_share=0.4, variant_share=0.94,
            shouting=True,
        ),
        ALL, 0.9, 0.0, 0.92, "code", " ", "number", "HW{:07d}",
    ),
    Supplier(
        "fitstreet", "Sports shop with a bit of everything for families; plain CSV from a web shop plug-in.",
        "fitstreet.csv", "csv", {"encoding": "utf-8", "delimiter": ","},
        _columns(
            "product_id:id | name:title | brand:brand | category:category | barcode:gtin | color:colour | size:size | price:price | currency:currency"
            "| available:available | product_url:url | description:description"
        ),
        Style(ENGLISH, (BRAND_LAST, BRAND_FIRST), "spaced", "of", code_share=0.3, spec_share=0.5, variant_share=0.7, size_word="EU"),
        ("fashion", "care", "toys"), 1.2, 0.4, 0.0, "english_leaf", " / ", "number", habits=Habits(ragged=0.006, no_brand=0.02),
    ),
    Supplier(
        "bazaar-one", "Marketplace of many small sellers: widest range, worst data. Watch the quarantine.",
        "bazaar-one.csv", "csv", {"encoding": "utf-8", "delimiter": "tab"},
        _columns(
            "listing_id:id | title:title | brand:brand | ean:gtin | model:mpn | category:category | price:price | seller_note:description | link:url"
            "| image:image"
        ),
        Style(
            ENGLISH, (BRAND_FIRST, NOUN_FIRST, BRAND_LAST), "spaced", "of", code_share=0.45, own_code_share=0.3, spec_share=0.5, variant_share=0.86,
            brand_share=0.85, marketing=("Top Quality", "fast delivery", "*** SALE ***", "100% original", "best gift", "brand new"), marketing_share=0.45,
            typo_share=0.07, size_word="size",
        ),
        ALL, 0.8, 0.35, 0.2, "english_leaf", " > ", "number", "{}",
        Habits(
            no_brand=0.3, no_title=0.004, wrong_check_digit=0.03, ruined_gtin=0.01, entities=0.03, mojibake=0.02, repeated=0.006, twice_listed=0.04,
            ragged=0.006, from_price=0.008, negative_price=0.002, no_price=0.004,
        ),
        {"currency": EUR},
    ),
    Supplier(
        "spielraum", "Toys, hobby and do-it-yourself; JSON written by their agency.", "spielraum.json", "json", {"records": "artikel"},
        _columns(
            "nr:id | titel:title | marke:brand | codes.ean13:gtin | codes.modell:mpn | kategorie:category | preis.brutto:price | preis.waehrung:currency"
            "| merkmale.farbe:colour | merkmale.groesse:size | bild:image | lieferbar:available"
        ),
        Style(GERMAN, (BRAND_FIRST, NOUN_FIRST), "comma", "er", code_share=0.55, spec_share=0.8, size_word="Gr.", variant_share=0.9),
        ("toys", "diy", "fashion"), 1.2, 0.75, 0.4, "german", " | ", "number", habits=Habits(mojibake=0.01, no_brand=0.02),
    ),
    Supplier(
        "kaufstadt", "Department store, German titles without codes; JSON lines, one article a line.", "kaufstadt.jsonl", "jsonl", {"encoding": "utf-8"},
        _columns(
            "artikelId:id | bezeichnung:title | marke:brand | gtin:gtin | warengruppe:category | preis:price | inhalt:quantity | beschreibung:description"
            "| bestand:available"
        ),
        Style(GERMAN, (BRAND_FIRST, BRAND_LAST), "comma", "er", code_share=0.1, spec_share=0.55, size_word="Größe", variant_share=0.92),
        ALL, 0.6, 0.8, 0.0, "german", "/", "currency", "KS-{:06d}", Habits(no_brand=0.02, from_price=0.001), comma=True,
    ),
)  # fmt: skip
BY_NAME: dict[str, Supplier] = {supplier.name: supplier for supplier in SUPPLIERS}
# Who carries what, by places in SUPPLIERS.
CARRIERS: dict[str, tuple[int, ...]] = {
    department: tuple(place for place, supplier in enumerate(SUPPLIERS) if department in supplier.departments) for department in ALL
}  # fmt: skip
