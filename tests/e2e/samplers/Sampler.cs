// Sends what the X-Ray remote sampler for .NET sends (opentelemetry-dotnet-contrib, AWSXRaySamplerClient of 08e0ae2): ENDPOINT.
using System;
using System.Net.Http;
using System.Text;

public static class Sampler
{
    const string Statistics = "{\"SamplingStatisticsDocuments\":[{\"ClientID\":\"0123456789abcdef01234567\",\"RuleName\":\"everything\","
        + "\"RequestCount\":3,\"SampledCount\":3,\"BorrowCount\":0,\"Timestamp\":1795921445}]}";

    public static void Main(string[] arguments)
    {
        var client = new HttpClient();
        Console.WriteLine(Post(client, arguments[0] + "/GetSamplingRules", "") + " " + Post(client, arguments[0] + "/SamplingTargets", Statistics));
    }

    static int Post(HttpClient client, string url, string body)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, url) { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        return (int)client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead).GetAwaiter().GetResult().StatusCode;
    }
}
