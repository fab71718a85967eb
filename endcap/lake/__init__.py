"""The lake: versioned tables of the nouns; a snapshot pins one version of each, and each table has one writer."""

from endcap.lake.tables import FileEntry, Lake, Manifest, TablePin

__all__ = ["FileEntry", "Lake", "Manifest", "TablePin"]
