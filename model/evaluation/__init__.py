"""Evaluation: metrics of a network's answers, reports and pictures."""
