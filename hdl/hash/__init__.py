"""Hash gateware: SHA-2, padding, RFC 6979 nonces, and the stations the core sends jobs to."""
