"""The files of a run: how they are read, saved and resumed; no training."""
