"""Measurement: what a call costs here and with the libraries and SDKs it stands beside."""
