"""The journal: every mutating call as a row before the call returns."""
