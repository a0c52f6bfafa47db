"""DICOM gateway: films of modalities and archives in, results back into the archive."""
