-- Puts a citizen into the timetable, due in `due_in` ms; a citizen who is there keeps the place.
-- KEYS: due
-- ARGV: citizen, due_in:number
-- CLOCK: steady
redis.call('ZADD', due, 'NX', now + due_in, citizen)
