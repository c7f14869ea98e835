"""The municipality as configuration: what stands in a home's `municipality.yaml`, and the refusal of a wrong one.

model       what a configuration holds
loading     reading one, with every mistake at once
template    writing one for the first time
"""

from pipelines.municipality.loading import load_municipality
from pipelines.municipality.model import County, CountyName, Municipality, Postgres, ReceivedAt, Reference
from pipelines.municipality.problems import ConfigurationError
from pipelines.municipality.template import NewArea, NewCalendarEntry, write_template
from pipelines.yaml_mistakes import Problem

__all__ = [
    "ConfigurationError",
    "County",
    "CountyName",
    "Municipality",
    "NewArea",
    "NewCalendarEntry",
    "Postgres",
    "Problem",
    "ReceivedAt",
    "Reference",
    "load_municipality",
    "write_template",
]
