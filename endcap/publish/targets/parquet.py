"""One Parquet file, products.parquet, with page checksums."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

FILE_NAME = "products.parquet"
ROW_GROUP_ROWS = 50_000


def write(products: pa.Table, folder: Path) -> list[Path]:
    """Write the products; the same table gives the same bytes."""
    path = folder / FILE_NAME
    with path.open("wb") as stream:
        pq.write_table(products.combine_chunks(), stream, compression="zstd", write_page_checksum=True, row_group_size=ROW_GROUP_ROWS)
        stream.flush()
        os.fsync(stream.fileno())
    return [path]


def read(folder: Path, columns: pa.Schema) -> pa.Table:
    """Read them back, page checksums verified."""
    return pq.read_table(folder / FILE_NAME, columns=columns.names, page_checksum_verification=True).cast(columns)


CASES: list[list[dict[str, Any]]] = [
    [],
    [{"product_id": "p1", "title": 'Mug "red", 330 ml', "price_min": "1.2000", "price_max": "1299.9900", "offers": 2, "offer_ids": ["a:1", "b:2"]}],
    [{"product_id": "p1", "title": "Tässchen 茶\u2028"}, {"product_id": "p2", "title": "<b>x</b>\n=1+1", "brand": ""}],
]
