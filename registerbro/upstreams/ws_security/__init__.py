"""WS-Security 1.0 with X.509 certificates: signs a question's parts, and checks that an answer's are signed.

(F) Skatteforvaltningen publishes the policy: Basic256, which is SHA-1 with RSA-SHA1, over Body, Timestamp and token; in
what was recorded, Body and Timestamp are signed, both ways. (A) That SHA-256 will do. The signing is signxml's, the
verifying is by hand (docs/decisions/0014-…): what an answer must look like is settled element by element, so that
nothing is believed that stands beside what was signed.
"""

from registerbro.upstreams.ws_security.security import Security
from registerbro.upstreams.ws_security.vocabulary import FAULTS, algorithms_in

__all__ = ["FAULTS", "Security", "algorithms_in"]
