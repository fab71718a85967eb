"""Pages for people, one file a page.

A page has a `router` with its routes, and CASES: (address, status, words that stand in it) on the sample catalog.
Its sentence is the first line of its docstring.
"""
