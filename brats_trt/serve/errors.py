"""What a service raises."""

from ..errors import BratsTrtError


class ServiceError(BratsTrtError):
    """The service cannot do what it was started for, and says what to change."""


class QueueFullError(ServiceError):
    """As many jobs wait as may: the one that came is not accepted."""


class CaseRefusedError(ServiceError):
    """The case is at fault; trying it again would not help."""


class WorkerDiedError(ServiceError):
    """The worker's process ended in the midst of a case."""


class WorkerHungError(ServiceError):
    """The worker was silent for too long and was killed."""
