"""The official workbook of every return, from its definition and rules."""
