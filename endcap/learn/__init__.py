"""Learn: overrides become labels, labels become challengers, and a person promotes one; the next run uses it."""
