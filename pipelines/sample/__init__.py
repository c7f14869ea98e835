"""A synthetic municipality that reports like real ones: workbooks of fourteen counties, six returns, three years.

Belongs here: everything made up. Nothing in the product reads this package; it writes files into county folders and
knows no more of the pipeline than the return definitions.

=============  ========================================================================
`population`   residents by age and sex, grown from the 2020 census
`world`        schools, pupils, staff, pay and subsidies, consistent with each other
`layout`       the grids in which each county writes them down
`workbooks`    grids to xlsx, xls and CSV bytes
`faults`       the documented catalogue of things that counties get wrong
`delivery`     due dates, and files that are written whole or not at all
`municipality` the configuration and the policy that the files are for
=============  ========================================================================

Every workbook carries a note that it is synthetic. Sources: `data/census_2020_xinzhou.csv` (see its head); the
townships in `data/counties.csv` are real names, every school is invented.
"""

from pipelines.sample.delivery import SampleReport, write_sample
from pipelines.sample.faults import Fault
from pipelines.sample.municipality import is_sample_home, write_sample_municipality, write_sample_policy

__all__ = [
    "Fault",
    "SampleReport",
    "is_sample_home",
    "write_sample",
    "write_sample_municipality",
    "write_sample_policy",
]
