# Signs what its standard input says: a line `vector METHOD URL BODY KEY SECRET TOKEN TIME` or `send URL BODY`, separated by tabs.
require "#{ENV.fetch("HELPERS")}/signing/sidecarless_signing"

$stdout.sync = true
SidecarlessSigning.register
$stdin.each_line(chomp: true) do |line|
  kind, *values = line.split("\t", -1)
  if kind == "vector"
    method, url, body, key, secret, token, time = values
    uri = URI(url)
    host = uri.port == uri.default_port ? uri.host : "#{uri.host}:#{uri.port}"
    credentials = SidecarlessSigning::Credentials.new(key, secret, token)
    puts SidecarlessSigning.signature(method, uri.request_uri, host, body, credentials, Time.parse(time))["authorization"]
  else
    begin
      puts Net::HTTP.post(URI(values[0]), values[1]).code
    rescue StandardError => error
      puts "error: #{error.message}"
    end
  end
end
