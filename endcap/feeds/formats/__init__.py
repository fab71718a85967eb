"""The shelf of feed formats: how a delivery is written down."""
