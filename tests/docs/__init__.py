"""Tests of the documents: their programs, commands, drawings, tables, and the site."""
