"""Thimble: makes a neural network fit on a microcontroller."""

__version__ = "0.1.0"
