"""The network, data and recipe of `thimble demo`: scikit-learn's digits, 8x8 pixels."""
