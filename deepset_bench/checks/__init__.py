"""The examination of a data set: one module for each family of checks."""
