"""The constitution as data: Markdown that becomes clauses with stable ids."""
