"""endcap: the product catalog that learns."""

__version__ = "0.1.0"
