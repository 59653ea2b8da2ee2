"""The full-screen view of a campaign: read from the tracker about once a second, steered through requests."""
