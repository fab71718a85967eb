"""The reference pages, one file a page; `docs/generate.py` writes them."""
