"""Rules that need other periods, other returns, other counties, the census or the bureau's policy.

Belongs here: building what the rules across filings of a catalogue are judged on, one module a kind of question. Such a rule only asks
(query or info): a file is rejected for what stands in it alone, so which version is in force never depends on the order in which
files came. All filings of a county in which something changed are judged anew, and with them those of counties that share
something with it, which makes the findings a function of what is in force.
"""

from pipelines.warehouse.context.evaluate import ContextResult, evaluate_context, store_context

__all__ = ["ContextResult", "evaluate_context", "store_context"]
