"""The model: what computes, how long it takes, and whether it can be believed."""
