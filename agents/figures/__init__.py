"""Figures of drawn hands, with intervals, and the file that keeps them; no command and no training."""
