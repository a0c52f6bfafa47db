"""The SOLO family in PyTorch. `solo.contract` is the part that serving may import."""
