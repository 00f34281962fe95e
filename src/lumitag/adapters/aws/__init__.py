"""The adapters over Amazon's services."""
