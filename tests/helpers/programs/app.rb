# An application that starts the helper twice and works until its standard input ends: INTERVAL.
require "#{ENV.fetch("HELPERS")}/sidecarless_stats"

$stdout.sync = true
Thread.abort_on_exception = true
SidecarlessStats.start(Float(ARGV[0]))
SidecarlessStats.start(Float(ARGV[0]))
puts "started"
$stdin.read
puts "finished"
