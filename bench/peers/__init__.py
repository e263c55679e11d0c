"""The queues beside which registerbro is measured, each as its own documentation sets it up, doing the same work.

They run in environments of their own and import nothing of registerbro's: ask the register about a citizen, see that
the answer is of the contract and about that citizen, and store it in Redis for three days. Nothing spares the register,
nothing is sealed, and nothing is on record. `PEERS_UPSTREAM`, `PEERS_STORE` and `PEERS_BROKER` are where.
"""
