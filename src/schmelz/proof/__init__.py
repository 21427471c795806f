"""What others can check: the chain of events, the export of facts, and the recomputation. No database."""
