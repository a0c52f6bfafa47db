"""Training: targets, losses, optimisation, and the loop, in one process or several."""
