import io.opentelemetry.sdk.common.export.Compressor;
import io.opentelemetry.sdk.common.export.HttpSender;
import io.opentelemetry.sdk.common.export.HttpSenderConfig;
import io.opentelemetry.sdk.common.export.HttpSenderProvider;
import io.opentelemetry.sdk.common.export.MessageWriter;
import io.opentelemetry.sdk.common.export.RetryPolicy;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.ServiceLoader;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import java.util.zip.GZIPOutputStream;
import javax.net.ssl.SSLContext;
import javax.net.ssl.X509TrustManager;

/**
 * Signs what its standard input says: a line `vector METHOD URL BODY KEY SECRET TOKEN TIME` or `send URL BODY`, separated by tabs.
 * Sends as the exporters do: with the sender that the ServiceLoader finds.
 */
public final class Signing {
    public static void main(String[] arguments) throws Exception {
        HttpSenderProvider provider = ServiceLoader.load(HttpSenderProvider.class).iterator().next();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] values = line.split("\t", -1);
            System.out.println(values[0].equals("vector") ? vector(values) : send(provider, values[1], values[2]));
        }
        System.exit(0);
    }

    private static String vector(String[] values) {
        SidecarlessSigning.Credentials found = new SidecarlessSigning.Credentials(values[4], values[5], values[6], Instant.MAX);
        byte[] body = values[3].getBytes(StandardCharsets.UTF_8);
        return SidecarlessSigning.signature(values[1], URI.create(values[2]), body, found, Instant.parse(values[7])).get("authorization");
    }

    private static String send(HttpSenderProvider provider, String url, String body) throws Exception {
        HttpSender sender = provider.createSender(new Config(URI.create(url)));
        byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
        MessageWriter message = new MessageWriter() {
            @Override
            public void writeMessage(OutputStream output) throws IOException {
                output.write(bytes);
            }

            @Override
            public int getContentLength() {
                return bytes.length;
            }
        };
        CompletableFuture<String> result = new CompletableFuture<>();
        sender.send(message, response -> result.complete(String.valueOf(response.getStatusCode())), error -> result.complete("error: " + error.getMessage()));
        return result.get(20, TimeUnit.SECONDS);
    }

    private static final class Gzip implements Compressor {
        @Override
        public String getEncoding() {
            return "gzip";
        }

        @Override
        public OutputStream compress(OutputStream output) throws IOException {
            return new GZIPOutputStream(output);
        }
    }

    /** The configuration of an exporter with the defaults of the SDK, and gzip. */
    private static final class Config implements HttpSenderConfig {
        private final URI endpoint;

        Config(URI endpoint) {
            this.endpoint = endpoint;
        }

        @Override
        public URI getEndpoint() {
            return endpoint;
        }

        @Override
        public String getContentType() {
            return "application/x-protobuf";
        }

        @Override
        public Compressor getCompressor() {
            return new Gzip();
        }

        @Override
        public Duration getTimeout() {
            return Duration.ofSeconds(10);
        }

        @Override
        public Duration getConnectTimeout() {
            return Duration.ofSeconds(10);
        }

        @Override
        public Supplier<Map<String, List<String>>> getHeadersSupplier() {
            return () -> Map.of("User-Agent", List.of("OTel-OTLP-Exporter-Java/1.59.0"));
        }

        @Override
        public RetryPolicy getRetryPolicy() {
            return new RetryPolicy();
        }

        @Override
        public SSLContext getSslContext() {
            return null;
        }

        @Override
        public X509TrustManager getTrustManager() {
            return null;
        }

        @Override
        public ExecutorService getExecutorService() {
            return null;
        }
    }
}
