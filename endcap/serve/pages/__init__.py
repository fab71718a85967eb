"""Pages for people, one file a page.

A page has PATH, `show(request, ...) -> Response`, and CASES: (address, status, words that stand in it) on the sample catalog.
Its sentence is the first line of its docstring.
"""
