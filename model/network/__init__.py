"""The networks of the SOLO family: backbones, heads, post-processing, presets, checkpoints."""
