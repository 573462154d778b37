# A pre-forking server with three workers, which works until its standard input ends: MODE INTERVAL.
# With the mode `preload` the helper starts before the fork, as in an application that Puma or Unicorn preloads, otherwise in each worker.
require "#{ENV.fetch("HELPERS")}/sidecarless_stats"

mode, interval = ARGV
SidecarlessStats.start(Float(interval)) if mode == "preload"
workers = Array.new(3) do
  fork do
    SidecarlessStats.start(Float(interval)) unless mode == "preload"
    sleep
  end
end
$stdin.read
workers.each { |worker| Process.kill("KILL", worker) }
