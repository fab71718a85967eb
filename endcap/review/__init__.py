"""Review: what waits for a person, what the person said, and undo. No page and no prompt lives here."""
