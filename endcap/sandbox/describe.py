"""What lies beside a world's inbox: the settings for exactly these feeds, and the house's taxonomy."""

from __future__ import annotations

from endcap.sandbox.goods import GOODS
from endcap.sandbox.suppliers import SUPPLIERS, Supplier

HEAD = """\
# A sandbox world: ten suppliers, made up by `endcap.sandbox`. What is true of each offer lies in truth/.
# Every setting is explained in the documentation of the settings.
name: sandbox
home: catalog
inbox: inbox
taxonomy: taxonomy.csv
team: catalog

feeds:
"""


def settings_text() -> str:
    """The text of endcap.yaml."""
    return HEAD + "\n".join(map(_feed_text, SUPPLIERS))


def _feed_text(supplier: Supplier) -> str:
    lines = [f"  # {supplier.words}", f"  {supplier.name}:", f'    file: "{{date}}/{supplier.file}"', f"    format: {supplier.form}"]
    if supplier.options:
        lines.append(f"    options: {{{', '.join(f'{name}: {_quoted(value)}' for name, value in supplier.options.items())}}}")
    if supplier.comma:
        lines.append('    numbers: {decimal: ",", thousands: "."}')
    lines.append("    fields:")
    lines += [f"      {name}: {source}" for name, source in supplier.fields.items()]
    if supplier.details:
        lines.append(f"      details: {{{', '.join(f'{name}: {path}' for name, path in supplier.details.items())}}}")
    return "\n".join(lines) + "\n"


def _quoted(value: str | int) -> str:
    return f'"{value}"' if isinstance(value, str) and not value.isalnum() else str(value)


def taxonomy_text() -> str:
    """The text of taxonomy.csv: the house's categories and what people call them."""
    rows = sorted(f"{goods.category},{goods.words}" for goods in GOODS)
    return "category,words\n" + "\n".join(rows) + "\n"
