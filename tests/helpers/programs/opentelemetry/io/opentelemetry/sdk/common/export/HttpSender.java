package io.opentelemetry.sdk.common.export;

import io.opentelemetry.sdk.common.CompletableResultCode;
import java.util.function.Consumer;

/** Declaration of the OpenTelemetry SDK for Java 1.59, with what senders use: the SDK itself is not in the registries of the tests. */
public interface HttpSender {
    void send(MessageWriter message, Consumer<HttpResponse> onResponse, Consumer<Throwable> onError);

    CompletableResultCode shutdown();
}
