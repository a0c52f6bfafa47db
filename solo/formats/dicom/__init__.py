"""DICOM objects of a result: Segmentation, Presentation State, Secondary Capture (PS3.3)."""
