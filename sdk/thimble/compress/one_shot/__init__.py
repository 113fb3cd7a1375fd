"""Compression without training: from a quantised graph and some inputs to one that takes fewer bytes."""
