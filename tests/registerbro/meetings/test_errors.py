"""The error tree of bookings is as its module draws it."""

from registerbro.meetings import errors


def drawn():
    """The names of the drawing, each with how far it is indented."""
    lines = [line for line in errors.__doc__.splitlines() if "──" in line or line.strip() == "BookingError"]
    return [(line.index(name), name) for line in lines for name in [next(w for w in line.split() if w[0].isalpha())]]


def built(error, depth=4):
    return [(depth, error.__name__), *(one for sub in error.__subclasses__() for one in built(sub, depth + 4))]


def test_the_drawing_is_of_the_classes_as_they_are():
    assert drawn() == built(errors.BookingError)


def test_a_message_holds_nothing():
    assert {str(getattr(errors, name)()) for _, name in drawn()} == {""}
