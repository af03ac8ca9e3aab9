-- For wrk: sends requests that were made and signed beforehand, each once, and stops after a number of answers.
-- wrk itself knows only a duration; its own SIGINT ends it early, and then it still calls done().
-- Environment: BENCH_DATA (bytes of all requests), BENCH_INDEX (a line for each: length and kind), BENCH_COUNT.

local ffi = require("ffi")
ffi.cdef [[
  struct bench_time { long seconds; long nanoseconds; };
  int clock_gettime(int which, struct bench_time *out);
  int getpid(void);
  int kill(int pid, int signal);
]]
local MONOTONIC, INTERRUPT = 1, 2
local reading = ffi.new("struct bench_time")

local function seconds()
  ffi.C.clock_gettime(MONOTONIC, reading)
  return tonumber(reading.seconds) + tonumber(reading.nanoseconds) / 1e9
end

local wanted = tonumber(os.getenv("BENCH_COUNT"))
local only_thread

function setup(thread)
  only_thread = thread
end

function init()
  requests, asked, answered, by_status, begun, ended, told = {}, 0, 0, {}, 0, 0, ""
  local data = assert(io.open(os.getenv("BENCH_DATA"), "rb"))
  for line in io.lines(os.getenv("BENCH_INDEX")) do
    requests[#requests + 1] = data:read(tonumber(line:match("^%d+")))
  end
  data:close()
end

function request()
  asked = asked + 1
  if asked == 2 then begun = seconds() end -- wrk asks for one request before it begins, to look at it
  return requests[asked] or requests[#requests]
end

function response(status)
  answered = answered + 1
  by_status[status] = (by_status[status] or 0) + 1
  if answered == wanted then
    ended = seconds()
    for key, count in pairs(by_status) do told = told .. key .. ":" .. count .. ";" end
    wrk.thread:stop()
    ffi.C.kill(ffi.C.getpid(), INTERRUPT)
  end
end

function done(summary, latency)
  local lost = summary.errors
  io.write(string.format("BENCH %d %.6f %.1f %.1f %.1f %d %s\n", only_thread:get("answered"),
    only_thread:get("ended") - only_thread:get("begun"), latency:percentile(50), latency:percentile(99), latency.max,
    lost.connect + lost.read + lost.write + lost.timeout, only_thread:get("told")))
end
