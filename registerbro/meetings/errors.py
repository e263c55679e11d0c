"""Error tree of bookings: what the caller of `registerbro/meetings/booking.py` is told.

    BookingError
    ├── BookingRefused            DFDG answered, and nothing was booked by this call
    │   ├── TimeTaken             another citizen was faster
    │   │   └── NoFreeTimes       there is none to be taken
    │   ├── AlreadyBooked         a meeting is booked for this deadline
    │   ├── UnknownTime           the citizen has no such offer, or it has no such time
    │   └── IdempotencyKeyReused  the key was used for another booking
    ├── SystemUnreachable         no contact: it is not known whether anything was booked
    └── SystemBrokeContract       an answer that is not of the contract: likewise

No message holds anything of the citizen.
"""


class BookingError(Exception):
    """No meeting was booked, as far as is known."""


class BookingRefused(BookingError):
    """DFDG said no."""


class TimeTaken(BookingRefused):
    """Another citizen has booked the time."""


class NoFreeTimes(TimeTaken):
    """No time is free: of those who look for one, an answer like another."""


class AlreadyBooked(BookingRefused):
    """A meeting is booked for this deadline, by another call than this."""


class UnknownTime(BookingRefused):
    """The citizen has no such offer of a meeting, or the offer has no such time."""


class IdempotencyKeyReused(BookingRefused):
    """The key was used for another booking."""


class SystemUnreachable(BookingError):
    """No contact with the booking system: down, too slow, spared, or it does not let us in."""


class SystemBrokeContract(BookingError):
    """The booking system answered, and not as agreed."""
