"""The contract suite: what a case is given, and how a run goes."""
