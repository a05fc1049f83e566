"""What a service raises."""

from ..errors import BratsTrtError


class ServiceError(BratsTrtError):
    """The service cannot do what it was started for, and says what to change."""


class QueueFullError(ServiceError):
    """As many jobs wait as may: the one that came is not accepted."""
