"""Whole programs of Debian as tests of the engine; see ../run."""
