"""What `dg` and `dagster dev` load: the definitions of the default home (`XIANBAO_HOME`, else the checkout)."""

from pipelines.home import Home
from pipelines.orchestration.code_location import build_defs

defs = build_defs(Home.default())
