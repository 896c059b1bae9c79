"""Models of the ECP5's cells in Verilog, and a farm of them for the benches of these models."""
