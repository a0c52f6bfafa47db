"""DICOM radiographs: data set, transfer syntaxes, encapsulated frames, VOI LUT and window."""
