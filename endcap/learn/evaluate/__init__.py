"""Measure on labelled data of your own, through the same tokens, index, features and scorer as a run: one kind of measurement a file."""
