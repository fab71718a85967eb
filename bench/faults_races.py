"""x"""


def answers_around_runs(world, tally, wanted): ...
