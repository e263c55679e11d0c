"""What the registers behind DFDG share beside its protocol (`registerbro/upstreams/dfdg_protocol.py`)."""
