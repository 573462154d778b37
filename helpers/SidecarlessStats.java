import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Sends the task metadata and task stats of the ECS task in which this process runs to sidecarless.
 *
 * <pre>SidecarlessStats.start();</pre>
 *
 * Java 11 or later, no dependency. helpers/README.md describes the environment variables and the behavior.
 */
public final class SidecarlessStats {
    /**
     * One process of the task holds this port of the loopback address, and sends. The others try again at each interval. The port
     * is below the ephemeral range of Linux, so that no outgoing connection has it.
     */
    private static final int ELECTION_PORT = 23190;
    private static final int METADATA_TIMEOUT_SECONDS = 3;
    private static final int PUSH_TIMEOUT_SECONDS = 8;
    private static final int MAX_REASON = 200;
    /** User name and password of a URL, also of one that was cut: a response or an error may repeat them. */
    private static final String USER = "[^\\s/\"'<>]+@|//[^\\s/\"'<>]*$";
    private static final AtomicBoolean STARTED = new AtomicBoolean();

    private final HttpClient direct = client().proxy(HttpClient.Builder.NO_PROXY).build();
    private final HttpClient proxied = client().build();
    private final String metadata;
    private final String url;
    private final String token;
    private ServerSocket election;
    private String reported;

    private SidecarlessStats(String metadata, String url, String token) {
        this.metadata = metadata;
        this.url = url.replaceAll("/+$", "") + "/v1/ecs/task-stats";
        this.token = token;
    }

    /** Sends once a minute. */
    public static void start() {
        start(60);
    }

    /** Sends at this interval in seconds. Does nothing outside ECS or without SIDECARLESS_URL. */
    public static void start(long interval) {
        try {
            String metadata = variable("ECS_CONTAINER_METADATA_URI_V4"), url = variable("SIDECARLESS_URL");
            if (metadata.isEmpty() || url.isEmpty() || STARTED.getAndSet(true)) return;
            long period = TimeUnit.SECONDS.toMillis(Math.max(interval, 1));
            long delay = ThreadLocalRandom.current().nextLong(Math.min(period, 10_000));
            SidecarlessStats sender = new SidecarlessStats(metadata, url, variable("SIDECARLESS_TOKEN"));
            Executors.newSingleThreadScheduledExecutor(SidecarlessStats::daemon)
                .scheduleWithFixedDelay(sender::run, delay, period, TimeUnit.MILLISECONDS);
        } catch (Throwable error) {
            write(error.toString());
        }
    }

    /** Secrets that were stored from a file often end with a line break. */
    private static String variable(String name) {
        String value = System.getenv(name);
        return value == null ? "" : value.trim();
    }

    private static Thread daemon(Runnable work) {
        Thread thread = new Thread(work, "sidecarless-stats");
        thread.setDaemon(true);
        return thread;
    }

    private static HttpClient.Builder client() {
        // A redirect is not followed, because it would send the token to another host.
        return HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).followRedirects(HttpClient.Redirect.NEVER)
            .connectTimeout(Duration.ofSeconds(METADATA_TIMEOUT_SECONDS));
    }

    private void run() {
        try {
            push();
        } catch (Throwable error) {
            // An error that leaves this method would end the schedule.
            report(error instanceof ExecutionException && error.getCause() != null ? error.getCause() : error);
        }
    }

    private void push() throws Exception {
        byte[] task = read("/task");
        // Under host networking all tasks of an instance share the port, so that each process has to send.
        if (!new String(task, StandardCharsets.UTF_8).contains("\"NetworkMode\":\"host\"") && !isElected()) return;
        ByteArrayOutputStream body = new ByteArrayOutputStream();
        body.write(task);
        body.write(read("/task/stats"));
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url)).header("Content-Type", "application/json")
            .header("User-Agent", "sidecarless-stats-java").POST(HttpRequest.BodyPublishers.ofByteArray(body.toByteArray()));
        if (!token.isEmpty()) request.header("Authorization", "Bearer " + token);
        call(proxied, request, PUSH_TIMEOUT_SECONDS);
    }

    private boolean isElected() {
        try {
            if (election == null) election = new ServerSocket(ELECTION_PORT, 1, InetAddress.getByName("127.0.0.1"));
            return true;
        } catch (IOException held) {
            return false;
        }
    }

    private byte[] read(String path) throws Exception {
        return call(direct, HttpRequest.newBuilder(URI.create(metadata + path)), METADATA_TIMEOUT_SECONDS);
    }

    private static byte[] call(HttpClient client, HttpRequest.Builder builder, int seconds) throws Exception {
        HttpRequest request = builder.timeout(Duration.ofSeconds(seconds)).build();
        // The timeout of the request ends with the headers of the response; the timeout of `get` includes its body.
        HttpResponse<byte[]> response = client.sendAsync(request, HttpResponse.BodyHandlers.ofByteArray())
            .get(seconds + 1L, TimeUnit.SECONDS);
        if (response.statusCode() / 100 == 2) return response.body();
        String reason = new String(response.body(), StandardCharsets.UTF_8).trim().replaceAll("\\s+", " ");
        throw new IOException("status " + response.statusCode() + " from " + request.uri() + ": "
            + reason.substring(0, Math.min(reason.length(), MAX_REASON)));
    }

    private void report(Throwable error) {
        String reason = error.getMessage() == null ? error.toString() : error.getMessage();
        // The message about an invalid header contains its value.
        if (!token.isEmpty()) reason = reason.replace(token, "***");
        reason = reason.replaceAll(USER, "***@");
        if (reason.equals(reported)) return;
        reported = reason;
        write(reason);
    }

    private static void write(String reason) {
        System.err.println("sidecarless: task stats were not sent: " + reason);
    }
}
