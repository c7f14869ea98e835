"""Moments: kept in UTC without a zone, told and counted by the day in Beijing (UTC+8, no summer time)."""

from datetime import UTC, date, datetime, timedelta

BEIJING_HOURS = 8
_BEIJING = timedelta(hours=BEIJING_HOURS)


def utc(text: str) -> datetime:
    """An ISO time as UTC without zone; one without a zone is taken for UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def beijing_day(moment: datetime) -> date:
    """The day in Beijing of a UTC time without zone."""
    return (moment + _BEIJING).date()


def beijing_minute(moment: datetime) -> str:
    """`2024-10-08 09:30`, the time in Beijing of a UTC time without zone."""
    return f"{moment + _BEIJING:%Y-%m-%d %H:%M}"


def beijing_iso(moment: datetime) -> str:
    """`2024-10-08T09:30:00+08:00`, of a UTC time without zone."""
    return f"{(moment + _BEIJING).isoformat(timespec='seconds')}+08:00"


def end_of_day(day: str) -> datetime:
    """The last moment of a day in Beijing (YYYY-MM-DD), as UTC without zone. Raises ValueError."""
    return datetime.fromisoformat(day).replace(hour=0) + timedelta(days=1, microseconds=-1) - _BEIJING
