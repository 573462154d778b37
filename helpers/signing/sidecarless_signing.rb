# frozen_string_literal: true

# Signs requests to sidecarless with the credentials of the task role, for Ingress=url-iam and Ingress=lattice.
#
#     require_relative "sidecarless_signing"
#     SidecarlessSigning.register
#
# Signs every request of Net::HTTP to the hosts of OTEL_EXPORTER_OTLP_ENDPOINT and SIDECARLESS_URL, and so those of the OTLP exporter.
# Ruby 2.6 or later, no dependency. helpers/signing/README.md describes the variables.

require "cgi"
require "digest"
require "json"
require "net/http"
require "openssl"
require "time"
require "uri"

module SidecarlessSigning
  # Host names of Function URLs and of VPC Lattice services.
  HOST = /\.(lambda-url|vpc-lattice-svcs)\.([a-z0-9-]+)\.on\.aws\z/.freeze
  # Credentials are replaced this many seconds before they expire.
  REFRESH = 300
  CREDENTIALS_TIMEOUT = 3

  Credentials = Struct.new(:key, :secret, :token, :expires_at)

  # Signs the requests of this connection if it is one to the function.
  module Connection
    def request(request, body = nil, &block)
      SidecarlessSigning.sign(self, request, body || request.body || "") if started? && SidecarlessSigning.endpoint?(self)
      super
    end
  end

  @mutex = Mutex.new

  class << self
    # `credentials` returns Credentials, by default those of the task role.
    def register(&credentials)
      @credentials = credentials || method(:task_credentials)
      urls = [ENV["OTEL_EXPORTER_OTLP_ENDPOINT"], ENV["SIDECARLESS_URL"]].compact.reject(&:empty?)
      @endpoints = urls.map { |url| URI(url) }.map { |uri| [uri.host, uri.port] }
      Net::HTTP.prepend(Connection)
    end

    def endpoint?(connection)
      @endpoints.include?([connection.address, connection.port])
    end

    def sign(connection, request, body)
      default = connection.use_ssl? ? 443 : 80
      host = connection.port == default ? connection.address : "#{connection.address}:#{connection.port}"
      request["host"] = host
      signature(request.method, request.path, host, body, @credentials.call).each { |name, value| request[name] = value }
    end

    # Returns the headers that sign a request (AWS IAM User Guide, "Create a signed AWS API request").
    def signature(method, target, host, body, credentials, now = Time.now)
      service, region = scope(host.sub(/:\d+\z/, ""))
      time = now.utc.strftime("%Y%m%dT%H%M%SZ")
      date = time[0, 8]
      # VPC Lattice does not support signed payloads, and Lambda requires them.
      digest = service == "vpc-lattice-svcs" ? "UNSIGNED-PAYLOAD" : Digest::SHA256.hexdigest(body)
      headers = { "host" => host, "x-amz-content-sha256" => digest, "x-amz-date" => time }
      headers["x-amz-security-token"] = credentials.token unless credentials.token.to_s.empty?
      names = headers.keys.join(";")
      path, query = target.split("?", 2)
      path = path.split("/").reject(&:empty?).map { |part| CGI.escape(part).gsub("+", "%20") }.join("/")
      lines = headers.map { |name, value| "#{name}:#{value}\n" }.join
      canonical = [method, "/#{path}", query.to_s.split("&").sort.join("&"), lines, names, digest].join("\n")
      parts = [date, region, service, "aws4_request"]
      text = ["AWS4-HMAC-SHA256", time, parts.join("/"), Digest::SHA256.hexdigest(canonical)].join("\n")
      key = parts.inject("AWS4#{credentials.secret}") { |secret, part| OpenSSL::HMAC.digest("SHA256", secret, part) }
      credential = "#{credentials.key}/#{parts.join('/')}"
      signature = OpenSSL::HMAC.hexdigest("SHA256", key, text)
      headers["authorization"] = "AWS4-HMAC-SHA256 Credential=#{credential}, SignedHeaders=#{names}, Signature=#{signature}"
      headers.reject { |name, _| name == "host" }
    end

    private

    # Returns service and region of a host. Of an own domain, they are in AWS_SIGV4_SERVICE and AWS_REGION.
    def scope(host)
      found = HOST.match(host)
      return [found[1].sub("lambda-url", "lambda"), found[2]] if found

      [ENV.fetch("AWS_SIGV4_SERVICE", "lambda"), ENV.fetch("AWS_REGION", "")]
    end

    # Returns the credentials of the task role, from the endpoint of ECS, or from the environment variables of the AWS SDKs.
    def task_credentials
      return Credentials.new(*%w[AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN].map { |name| ENV[name] }) if ENV["AWS_ACCESS_KEY_ID"]

      @mutex.synchronize do
        @found = read_credentials if @found.nil? || Time.now >= @found.expires_at - REFRESH
        @found
      end
    end

    def read_credentials
      path, url = %w[RELATIVE_URI FULL_URI].map { |name| ENV["AWS_CONTAINER_CREDENTIALS_#{name}"] }
      raise "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is not set, so the task has no role" unless path || url

      uri = URI(path ? "http://169.254.170.2#{path}" : url)
      token = ENV["AWS_CONTAINER_AUTHORIZATION_TOKEN"]
      # Without the proxy of http_proxy.
      http = Net::HTTP.new(uri.host, uri.port, nil)
      http.open_timeout = http.read_timeout = CREDENTIALS_TIMEOUT
      response = http.start { http.get(uri.request_uri, token ? { "authorization" => token } : {}) }
      raise "the endpoint of ECS returned status #{response.code}" unless response.is_a?(Net::HTTPOK)

      document = JSON.parse(response.body)
      Credentials.new(document["AccessKeyId"], document["SecretAccessKey"], document["Token"], Time.parse(document["Expiration"]))
    end
  end
end
