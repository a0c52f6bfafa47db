"""The SOLO family in PyTorch: networks, data, training and evaluation."""
