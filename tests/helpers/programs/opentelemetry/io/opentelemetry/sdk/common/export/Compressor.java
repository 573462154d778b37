package io.opentelemetry.sdk.common.export;

import java.io.IOException;
import java.io.OutputStream;

/** Declaration of the OpenTelemetry SDK for Java 1.59, with what senders use: the SDK itself is not in the registries of the tests. */
public interface Compressor {
    String getEncoding();

    OutputStream compress(OutputStream output) throws IOException;
}
