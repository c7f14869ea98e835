"""What a county opens: the template of a return, its own workbook with each finding marked, the list of findings, the receipt.

Belongs here: pure functions from dataclasses (or bytes) to bytes, the same bytes every time. What a document says follows from
the return definitions and the rules, never from words of its own about them. Does not belong here: deciding anything (that is
`screening`), fetching or delivering files (`intake`, `cli`), any database, any orchestration.
"""
