"""One running fake: its state, its journals, what waits for the clock, and the callbacks that it sends."""
