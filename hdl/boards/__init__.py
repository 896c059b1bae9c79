"""The boards that ``intaglio build`` and ``intaglio flash`` know; one module for each family."""

from . import colorlight, ecpix5, orangecrab, ulx3s, versa
from .board import Board

FAMILIES = (ulx3s, ecpix5, orangecrab, versa, colorlight)
"""Their modules, each with its own ``BOARDS``."""

BOARDS: dict[str, Board] = {board.name: board for family in FAMILIES for board in family.BOARDS}
"""All boards by name."""
