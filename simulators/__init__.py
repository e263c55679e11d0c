"""The upstream systems as real HTTP servers, with constructed citizens, and faults that can be set while they run."""

from simulators.control import Calls, Control
from simulators.simulation import Simulation

__all__ = ["Calls", "Control", "Simulation"]
