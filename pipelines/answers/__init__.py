"""What a county gets back: the annotated workbook, the receipt, the index of its outbox, and their delivery."""
