"""How far two computations of one number may lie apart, and why.

Whatever is counted, sorted or cut (labels, cells, indices, targets) is compared exactly.
"""

from __future__ import annotations

LOGITS = 1e-4
"""Absolute, of logits and features: float32 sums of some 600 products through seven layers."""

SCORES = 1e-5
"""Absolute, of final scores: they inherit the logits' error through a sigmoid's slope."""

DECAYED_SCORES = 1e-6
"""Absolute, after Matrix NMS on given masks: float32 exponentials of exact counts."""

LOSS = 1e-5
"""Relative, of a loss summed over a batch in float32."""

LOSS_ENTRY = 1e-5
"""Relative, of one entry's loss in float32; `LOSS_FLOOR` is its absolute companion."""

LOSS_FLOOR = 1e-6
"""Absolute, of one entry's loss: 1 - dice cancels to this in float32."""

FLIPPED_PIXELS = 1e-5
"""Share of mask pixels whose probability lies within rounding of the threshold."""

FLIPPED_QUANTISED_PIXELS = 1e-3
"""The same where soft masks were rounded to 1/255 before they were resized."""

GRADIENT = 1e-5
"""Relative, of the norm of one weight's gradient: float32 sums over both images and all cells."""
