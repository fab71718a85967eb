"""The web leaf: pages and API over one snapshot, read-only, on loopback; it decides nothing.

`endcap.serve.app.make_app(home)` gives the application.
"""
