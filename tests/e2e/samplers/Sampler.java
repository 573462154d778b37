import java.io.OutputStream;
import java.net.HttpURLConnection;
import java.net.URL;
import java.nio.charset.StandardCharsets;

/** Sends what the X-Ray remote sampler for Java sends (opentelemetry-java-contrib, XraySamplerClient of 3b88f46 and JdkHttpClient of 5a912b3): ENDPOINT. */
public final class Sampler {
    private static final String STATISTICS = "{\"SamplingStatisticsDocuments\":[{\"BorrowCount\":0,\"ClientID\":\"0123456789abcdef01234567\","
            + "\"RequestCount\":3,\"RuleName\":\"everything\",\"SampledCount\":3,\"Timestamp\":1795921445000}]}";

    public static void main(String[] arguments) throws Exception {
        System.out.println(post(arguments[0] + "/GetSamplingRules", "{}") + " " + post(arguments[0] + "/SamplingTargets", STATISTICS));
    }

    private static int post(String url, String body) throws Exception {
        HttpURLConnection connection = (HttpURLConnection) new URL(url).openConnection();
        connection.setRequestMethod("POST");
        connection.setConnectTimeout(2000);
        connection.setReadTimeout(2000);
        connection.setRequestProperty("Content-Type", "application/json");
        connection.setDoOutput(true);
        try (OutputStream output = connection.getOutputStream()) {
            output.write(body.getBytes(StandardCharsets.UTF_8));
        }
        return connection.getResponseCode();
    }
}
