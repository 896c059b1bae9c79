"""Drop-ins: keys and accounts of other packages that sign on any Intaglio device.

Each module needs the package whose name it bears and is imported only when you import it; see the
README beside this file.
"""
