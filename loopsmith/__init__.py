"""loopsmith runs generate-verify-refine loops without a person."""

__version__ = "0.1.0"
