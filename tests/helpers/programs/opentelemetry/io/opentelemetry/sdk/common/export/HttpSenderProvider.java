package io.opentelemetry.sdk.common.export;

/** Declaration of the OpenTelemetry SDK for Java 1.59, with what senders use: the SDK itself is not in the registries of the tests. */
public interface HttpSenderProvider {
    HttpSender createSender(HttpSenderConfig config);
}
