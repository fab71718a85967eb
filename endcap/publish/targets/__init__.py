"""Where a snapshot is published: each target is one file that writes the table of products into a folder and reads it back.

A target has `write(products, folder) -> list of paths`, `read(folder, columns) -> table`, and CASES: lists of rows that must
come back equal. The same table gives the same bytes, and what `write` returns is on disk.
"""
