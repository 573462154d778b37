# Sends the task metadata and task stats of the ECS task in which this process runs to sidecarless.
#
#     require_relative "sidecarless_stats"
#     SidecarlessStats.start
#
# Ruby 2.6 or later, no dependency. helpers/README.md describes the environment variables and the behavior.

require "net/http"
require "socket"
require "uri"

class SidecarlessStats
  # One process of the task holds this port of the loopback address, and sends. The others try again at each interval. The port is
  # below the ephemeral range of Linux, so that no outgoing connection has it.
  ELECTION_PORT = 23190
  METADATA_TIMEOUT = 3
  PUSH_TIMEOUT = 8
  MAX_REASON = 200
  # User name and password of a URL, also of one that was cut: a response or an error may repeat them.
  USER = %r{[^\s/"'<>]+@|//[^\s/"'<>]*\z}.freeze

  # Sends at this interval in seconds. Does nothing outside ECS or without SIDECARLESS_URL.
  def self.start(interval = 60)
    names = %w[ECS_CONTAINER_METADATA_URI_V4 SIDECARLESS_URL SIDECARLESS_TOKEN]
    # Secrets that were stored from a file often end with a line break.
    metadata, url, token = names.map { |name| ENV[name].to_s.strip }
    return if metadata.empty? || url.empty? || @started_in == Process.pid

    # A forked child may start its own sender.
    @started_in = Process.pid

    sender = new(metadata, url, token)
    Thread.new { sender.run([Float(interval), 1].max) }
    nil
  rescue StandardError => e
    write(e.message)
  end

  def self.write(reason)
    $stderr.puts("sidecarless: task stats were not sent: #{reason}")
  rescue IOError, SystemCallError
    nil # stderr is closed: there is no other place to report to.
  end

  def initialize(metadata, url, token)
    @metadata = metadata
    @url = "#{url.sub(%r{/+\z}, "")}/v1/ecs/task-stats"
    @token = token
    @headers = { "Content-Type" => "application/json", "User-Agent" => "sidecarless-stats-ruby" }
    @headers["Authorization"] = "Bearer #{token}" unless token.empty?
  end

  def run(interval)
    sleep(rand * [interval, 10].min)
    loop do
      begin
        push
      rescue Exception => e # rubocop:disable Lint/RescueException
        # With Thread.abort_on_exception, an exception that leaves the thread would end the process.
        report(e)
      end
      sleep(interval)
    end
  end

  private

  def push
    task = read("/task")
    # Under host networking all tasks of an instance share the port, so that each process has to send.
    return unless task.include?('"NetworkMode":"host"') || elected?

    request = Net::HTTP::Post.new(URI(@url), @headers)
    request.body = task + read("/task/stats")
    # `:ENV`: the proxy of http_proxy, if any.
    call(request, PUSH_TIMEOUT, :ENV)
  end

  def elected?
    @election ||= TCPServer.new("127.0.0.1", ELECTION_PORT)
  rescue SystemCallError
    false
  end

  # The metadata endpoint is never behind a proxy.
  def read(path)
    call(Net::HTTP::Get.new(URI(@metadata + path)), METADATA_TIMEOUT, nil)
  end

  def call(request, timeout, proxy)
    uri = request.uri
    raise ArgumentError, "invalid URL #{uri}" unless uri.is_a?(URI::HTTP) && uri.host

    http = Net::HTTP.new(uri.host, uri.port, proxy)
    http.use_ssl = uri.scheme == "https"
    http.open_timeout = METADATA_TIMEOUT
    http.read_timeout = timeout
    # By default a GET that timed out is sent again.
    http.max_retries = 0
    response = http.start { http.request(request) }
    return response.body if response.is_a?(Net::HTTPSuccess)

    raise IOError, "status #{response.code} from #{uri}: #{response.body.to_s.split.join(" ")[0, MAX_REASON]}"
  end

  def report(error)
    # The message about an invalid header contains its value.
    reason = @token.empty? ? error.message : error.message.gsub(@token, "***").gsub(@token.inspect[1..-2], "***")
    reason = reason.gsub(USER, "***@")
    return if reason == @reported

    @reported = reason
    self.class.write(@reported)
  end
end
