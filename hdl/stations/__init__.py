"""What happens between hash lanes, inverter, engine and reply: words gathered, handed on, wiped."""
