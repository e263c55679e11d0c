-- Records when a meeting was booked for a deadline; the record is kept for `kept_for` ms.
-- KEYS: booked
-- ARGV: deadline, kept_for
-- CLOCK: server
redis.call('HSET', booked, deadline, now)
redis.call('PEXPIRE', booked, kept_for)
