"""Configuration of the Superset that the test starts: a database of its own, in Chinese, reachable from this machine only."""

import os

SECRET_KEY = os.environ["XIANBAO_SUPERSET_SECRET"]
SQLALCHEMY_DATABASE_URI = f"sqlite:///{os.environ['XIANBAO_SUPERSET_STATE']}/superset.db"
BABEL_DEFAULT_LOCALE = "zh"
LANGUAGES = {"zh": {"flag": "cn", "name": "Chinese"}}
TALISMAN_ENABLED = False
RATELIMIT_ENABLED = False
