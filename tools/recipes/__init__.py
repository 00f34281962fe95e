"""How the released data files are made from pinned public packages. Nothing in here is part of the product."""
