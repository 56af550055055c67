"""Benchmarks: one module for each target of `yogo bench`."""
