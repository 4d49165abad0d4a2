"""What holds for every test."""

from hypothesis import settings

settings.register_profile("tests", deadline=None)  # a slow machine is no mistake
settings.load_profile("tests")
