"""GCC's own run tests for x86 as tests of the engine; see ../run."""
