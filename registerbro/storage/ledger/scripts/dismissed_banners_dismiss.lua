-- Records that a citizen dismissed the banner.
-- KEYS: banner
redis.call('SET', banner, '1')
return 1
