"""A second reading of a workbook's cells, independent of the first, so that a file on which two readers differ is refused.

Belongs here: walking the stored records of a format with our own eyes, and holding them against the first reader's grid. The same
walk finds what the first reader leaves out: error cells, hidden rows and columns, formulas never calculated or fed by another
workbook, and characters that are raised, lowered or struck out (the first reader knows no fonts). Nothing is interpreted beyond
number, text, truth value and error. Runs only inside the bounded reading process. Light on purpose: no library but the standard one.

How deep the second look goes: OOXML, xls and xlsb: place and value of every cell (dates as serial numbers, to the second). xls of
BIFF5: of text only its place. OpenDocument: numbers and texts; of dates only that something stands there.
"""
