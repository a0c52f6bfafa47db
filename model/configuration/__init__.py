"""What a network is and how it is trained, as frozen dataclasses: presets and their fields."""
