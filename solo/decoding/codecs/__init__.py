"""Codestreams of JPEG, JPEG 2000, JPEG XL and RLE, read before a decoder is asked."""
