"""Links to devices: the interface, the registry of URL schemes and the serial port."""
