"""Scores by the paper's protocol, the baselines that prove it, tables and reports."""
