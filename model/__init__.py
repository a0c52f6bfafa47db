"""The SOLO family in PyTorch. `model.contract` is the part that serving may import."""
