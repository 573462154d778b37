import io.opentelemetry.sdk.common.CompletableResultCode;
import io.opentelemetry.sdk.common.export.Compressor;
import io.opentelemetry.sdk.common.export.HttpSender;
import io.opentelemetry.sdk.common.export.HttpSenderConfig;
import io.opentelemetry.sdk.common.export.HttpSenderProvider;
import io.opentelemetry.sdk.common.export.MessageWriter;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Arrays;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * Sends the requests of the OTLP exporters, signed with the credentials of the task role, for Ingress=url-iam and Ingress=lattice.
 *
 * <p>The exporters of the OpenTelemetry SDK load this class as their sender: META-INF/services/io.opentelemetry.sdk.common.export.HttpSenderProvider
 * contains its name. SDK 1.59 or later, Java 11 or later. helpers/signing/README.md describes the set-up and the variables.
 */
public final class SidecarlessSigning implements HttpSenderProvider {
    /** Host names of Function URLs and of VPC Lattice services. */
    private static final Pattern HOST = Pattern.compile(".*\\.(lambda-url|vpc-lattice-svcs)\\.([a-z0-9-]+)\\.on\\.aws");

    /** Credentials are replaced this long before they expire. */
    private static final Duration REFRESH = Duration.ofMinutes(5);

    private static final Duration CREDENTIALS_TIMEOUT = Duration.ofSeconds(3);
    private static final int ATTEMPTS = 3;
    private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss'Z'").withZone(ZoneOffset.UTC);

    /** Returns the credentials, by default those of the task role. Set it before the exporters are created. */
    public static volatile Supplier<Credentials> credentials = SidecarlessSigning::taskCredentials;

    private static Credentials cached;

    @Override
    public HttpSender createSender(HttpSenderConfig config) {
        return new Sender(config);
    }

    /** The credentials of a role. */
    public static final class Credentials {
        final String key;
        final String secret;
        final String token;
        final Instant expiration;

        public Credentials(String key, String secret, String token, Instant expiration) {
            this.key = key;
            this.secret = secret;
            this.token = token;
            this.expiration = expiration;
        }
    }

    private static final class Sender implements HttpSender {
        private final HttpSenderConfig config;
        private final HttpClient client;

        Sender(HttpSenderConfig config) {
            this.config = config;
            // Function URLs support HTTP/1.1 only.
            HttpClient.Builder builder = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).connectTimeout(config.getConnectTimeout());
            if (config.getSslContext() != null) builder.sslContext(config.getSslContext());
            if (config.getExecutorService() != null) builder.executor(config.getExecutorService());
            client = builder.build();
        }

        @Override
        public void send(MessageWriter message, Consumer<io.opentelemetry.sdk.common.export.HttpResponse> onResponse, Consumer<Throwable> onError) {
            try {
                attempt(body(message), 1, onResponse, onError);
            } catch (IOException | RuntimeException error) {
                onError.accept(error);
            }
        }

        private byte[] body(MessageWriter message) throws IOException {
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            Compressor compressor = config.getCompressor();
            try (OutputStream output = compressor == null ? bytes : compressor.compress(bytes)) {
                message.writeMessage(output);
            }
            return bytes.toByteArray();
        }

        private void attempt(byte[] body, int number, Consumer<io.opentelemetry.sdk.common.export.HttpResponse> onResponse, Consumer<Throwable> onError) {
            URI url = config.getEndpoint();
            HttpRequest.Builder request = HttpRequest.newBuilder(url).timeout(config.getTimeout()).POST(HttpRequest.BodyPublishers.ofByteArray(body));
            config.getHeadersSupplier().get().forEach((name, values) -> values.forEach(value -> request.header(name, value)));
            request.setHeader("content-type", config.getContentType());
            if (config.getCompressor() != null) request.setHeader("content-encoding", config.getCompressor().getEncoding());
            signature("POST", url, body, credentials.get(), Instant.now()).forEach(request::setHeader);
            client.sendAsync(request.build(), HttpResponse.BodyHandlers.ofByteArray()).whenComplete((response, error) -> {
                if (error != null) {
                    onError.accept(error);
                } else if (isRetryable(response.statusCode()) && config.getRetryPolicy() != null && number < ATTEMPTS) {
                    // The time of a signature is that of its attempt.
                    java.util.concurrent.CompletableFuture.delayedExecutor(number, java.util.concurrent.TimeUnit.SECONDS).execute(() -> {
                        try {
                            attempt(body, number + 1, onResponse, onError);
                        } catch (RuntimeException failure) {
                            onError.accept(failure);
                        }
                    });
                } else {
                    onResponse.accept(new Response(response));
                }
            });
        }

        private static boolean isRetryable(int status) {
            return status == 429 || status == 502 || status == 503 || status == 504;
        }

        @Override
        public CompletableResultCode shutdown() {
            return CompletableResultCode.ofSuccess();
        }
    }

    private static final class Response implements io.opentelemetry.sdk.common.export.HttpResponse {
        private final HttpResponse<byte[]> response;

        Response(HttpResponse<byte[]> response) {
            this.response = response;
        }

        @Override
        public int getStatusCode() {
            return response.statusCode();
        }

        @Override
        public String getStatusMessage() {
            return "";
        }

        @Override
        public byte[] getResponseBody() {
            return response.body();
        }
    }

    /** Returns the headers that sign a request (AWS IAM User Guide, "Create a signed AWS API request"). */
    static Map<String, String> signature(String method, URI url, byte[] body, Credentials found, Instant now) {
        String[] scope = scope(url.getHost());
        String time = TIME.format(now);
        String date = time.substring(0, 8);
        // VPC Lattice does not support signed payloads, and Lambda requires them.
        String digest = scope[0].equals("vpc-lattice-svcs") ? "UNSIGNED-PAYLOAD" : sha256(body);
        Map<String, String> headers = new TreeMap<>();
        headers.put("host", url.getPort() < 0 ? url.getHost() : url.getHost() + ":" + url.getPort());
        headers.put("x-amz-content-sha256", digest);
        headers.put("x-amz-date", time);
        if (found.token != null && !found.token.isEmpty()) headers.put("x-amz-security-token", found.token);
        String names = String.join(";", headers.keySet());
        String path = parts(url.getRawPath(), "/").map(part -> URLEncoder.encode(part, StandardCharsets.UTF_8).replace("+", "%20")).collect(Collectors.joining("/"));
        String query = parts(url.getRawQuery(), "&").sorted().collect(Collectors.joining("&"));
        String lines = headers.entrySet().stream().map(header -> header.getKey() + ":" + header.getValue() + "\n").collect(Collectors.joining());
        String canonical = String.join("\n", method, "/" + path, query, lines, names, digest);
        String credential = String.join("/", date, scope[1], scope[0], "aws4_request");
        String text = String.join("\n", "AWS4-HMAC-SHA256", time, credential, sha256(canonical.getBytes(StandardCharsets.UTF_8)));
        byte[] key = ("AWS4" + found.secret).getBytes(StandardCharsets.UTF_8);
        for (String part : credential.split("/")) key = hmac(key, part);
        headers.put("authorization", "AWS4-HMAC-SHA256 Credential=" + found.key + "/" + credential + ", SignedHeaders=" + names + ", Signature=" + hex(hmac(key, text)));
        // Java sets it.
        headers.remove("host");
        return headers;
    }

    /** Returns service and region of a host. Of an own domain, they are in AWS_SIGV4_SERVICE and AWS_REGION. */
    private static String[] scope(String host) {
        Matcher found = HOST.matcher(host);
        if (found.matches()) return new String[] {found.group(1).replace("lambda-url", "lambda"), found.group(2)};
        Map<String, String> variables = System.getenv();
        return new String[] {variables.getOrDefault("AWS_SIGV4_SERVICE", "lambda"), variables.getOrDefault("AWS_REGION", "")};
    }

    private static java.util.stream.Stream<String> parts(String text, String separator) {
        return Arrays.stream((text == null ? "" : text).split(separator)).filter(part -> !part.isEmpty());
    }

    private static String sha256(byte[] data) {
        try {
            return hex(MessageDigest.getInstance("SHA-256").digest(data));
        } catch (GeneralSecurityException error) {
            throw new IllegalStateException(error);
        }
    }

    private static byte[] hmac(byte[] key, String text) {
        try {
            Mac mac = Mac.getInstance("HmacSHA256");
            mac.init(new SecretKeySpec(key, "HmacSHA256"));
            return mac.doFinal(text.getBytes(StandardCharsets.UTF_8));
        } catch (GeneralSecurityException error) {
            throw new IllegalStateException(error);
        }
    }

    private static String hex(byte[] data) {
        StringBuilder text = new StringBuilder();
        for (byte value : data) text.append(String.format(Locale.ROOT, "%02x", value));
        return text.toString();
    }

    /** Returns the credentials of the task role, from the endpoint of ECS, or from the environment variables of the AWS SDKs. */
    private static synchronized Credentials taskCredentials() {
        Map<String, String> variables = System.getenv();
        String key = variables.get("AWS_ACCESS_KEY_ID");
        if (key != null) return new Credentials(key, variables.get("AWS_SECRET_ACCESS_KEY"), variables.get("AWS_SESSION_TOKEN"), Instant.MAX);
        if (cached == null || Instant.now().isAfter(cached.expiration.minus(REFRESH))) {
            try {
                cached = readCredentials(variables);
            } catch (IOException error) {
                throw new IllegalStateException("no credentials of the task role: " + error.getMessage(), error);
            } catch (InterruptedException error) {
                Thread.currentThread().interrupt();
                throw new IllegalStateException("no credentials of the task role", error);
            }
        }
        return cached;
    }

    private static Credentials readCredentials(Map<String, String> variables) throws IOException, InterruptedException {
        String path = variables.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
        String address = path == null ? variables.get("AWS_CONTAINER_CREDENTIALS_FULL_URI") : "http://169.254.170.2" + path;
        if (address == null) throw new IOException("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is not set, so the task has no role");
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(address)).timeout(CREDENTIALS_TIMEOUT);
        String token = variables.get("AWS_CONTAINER_AUTHORIZATION_TOKEN");
        if (token != null) request.header("authorization", token);
        // The endpoint is never behind a proxy.
        HttpClient direct = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).proxy(HttpClient.Builder.NO_PROXY).connectTimeout(CREDENTIALS_TIMEOUT).build();
        HttpResponse<String> response = direct.send(request.build(), HttpResponse.BodyHandlers.ofString());
        if (response.statusCode() != 200) throw new IOException("the endpoint of ECS returned status " + response.statusCode());
        String document = response.body();
        Instant expiration = Instant.parse(field(document, "Expiration"));
        return new Credentials(field(document, "AccessKeyId"), field(document, "SecretAccessKey"), field(document, "Token"), expiration);
    }

    /** Returns a text of a flat JSON object whose texts contain no escapes, which those of the endpoint do not. */
    private static String field(String document, String name) throws IOException {
        Matcher found = Pattern.compile("\"" + name + "\"\\s*:\\s*\"([^\"\\\\]*)\"").matcher(document);
        if (!found.find()) throw new IOException("the document of the endpoint of ECS has no " + name);
        return found.group(1);
    }
}
