package io.opentelemetry.sdk.common.export;

import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.function.Supplier;
import javax.net.ssl.SSLContext;
import javax.net.ssl.X509TrustManager;

/** Declaration of the OpenTelemetry SDK for Java 1.59, with what senders use: the SDK itself is not in the registries of the tests. */
public interface HttpSenderConfig {
    URI getEndpoint();

    String getContentType();

    Compressor getCompressor();

    Duration getTimeout();

    Duration getConnectTimeout();

    Supplier<Map<String, List<String>>> getHeadersSupplier();

    RetryPolicy getRetryPolicy();

    SSLContext getSslContext();

    X509TrustManager getTrustManager();

    ExecutorService getExecutorService();
}
