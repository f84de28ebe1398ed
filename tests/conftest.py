"""What holds for all tests."""

from hypothesis import settings

# The first example may compile kernels, which takes seconds.
settings.register_profile("house", deadline=None)
settings.load_profile("house")
