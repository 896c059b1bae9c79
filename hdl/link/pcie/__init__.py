"""A PCIe endpoint that carries the packets of :class:`~intaglio.hdl.core.SigningCore`."""
