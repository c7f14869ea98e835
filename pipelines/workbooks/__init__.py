"""The bytes of workbooks: reading them twice, looking for numbers of persons, editing them in place, and the bounded process it is done in.

Belongs here: what is true of a file whatever returns there are. Imports nothing of ours but `pipelines.characters`.
"""
