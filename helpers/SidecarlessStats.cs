// Sends the task metadata and task stats of the ECS task in which this process runs to sidecarless.
//
//     SidecarlessStats.Start();
//
// .NET Core 3.1, .NET 5 or later, no dependency. helpers/README.md describes the environment variables and the behavior.

using System;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Http;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using System.Threading;

public sealed class SidecarlessStats
{
    // One process of the task holds this port of the loopback address, and sends. The others try again at each interval. The port is
    // below the ephemeral range of Linux, so that no outgoing connection has it.
    const int ElectionPort = 23190;
    static readonly TimeSpan MetadataTimeout = TimeSpan.FromSeconds(3);
    static readonly TimeSpan PushTimeout = TimeSpan.FromSeconds(8);
    const int MaxReason = 200;
    // User name and password of a URL, also of one that was cut: a response or an error may repeat them.
    const string User = "[^\\s/\"'<>]+@|//[^\\s/\"'<>]*$";
    static int started;

    // The metadata endpoint is never behind the proxy of HTTP_PROXY.
    readonly HttpClient direct = Client(MetadataTimeout, false);
    readonly HttpClient proxied = Client(PushTimeout, true);
    readonly string metadata, url, token;
    TcpListener election;
    string reported;

    SidecarlessStats(string metadata, string url, string token)
    {
        this.metadata = metadata;
        this.url = url.TrimEnd('/') + "/v1/ecs/task-stats";
        this.token = token;
    }

    /// <summary>Sends at this interval in seconds. Does nothing outside ECS or without SIDECARLESS_URL.</summary>
    public static void Start(double interval = 60)
    {
        try
        {
            string metadata = Variable("ECS_CONTAINER_METADATA_URI_V4"), url = Variable("SIDECARLESS_URL");
            if (metadata == "" || url == "" || Interlocked.Exchange(ref started, 1) == 1) return;
            var sender = new SidecarlessStats(metadata, url, Variable("SIDECARLESS_TOKEN"));
            var period = TimeSpan.FromSeconds(Math.Max(interval, 1));
            new Thread(() => sender.Run(period)) { IsBackground = true, Name = "sidecarless-stats" }.Start();
        }
        catch (Exception error)
        {
            Write(error.Message);
        }
    }

    // Secrets that were stored from a file often end with a line break.
    static string Variable(string name)
    {
        return (Environment.GetEnvironmentVariable(name) ?? "").Trim();
    }

    static HttpClient Client(TimeSpan timeout, bool useProxy)
    {
        // A redirect is not followed, because it would send the token to another host.
        var handler = new HttpClientHandler { UseProxy = useProxy, AllowAutoRedirect = false };
        return new HttpClient(handler) { Timeout = timeout };
    }

    void Run(TimeSpan interval)
    {
        double delay = Math.Min(interval.TotalMilliseconds, 10000) * new Random(Guid.NewGuid().GetHashCode()).NextDouble();
        Thread.Sleep(TimeSpan.FromMilliseconds(delay));
        while (true)
        {
            try
            {
                Push();
            }
            catch (Exception error)
            {
                // An exception that leaves the thread would end the process.
                Report(error.GetBaseException());
            }
            Thread.Sleep(interval);
        }
    }

    void Push()
    {
        // HttpClient would send its parts as separate headers.
        if (token.Any(char.IsControl)) throw new IOException("SIDECARLESS_TOKEN contains a line break");
        byte[] task = Call(direct, new HttpRequestMessage(HttpMethod.Get, metadata + "/task"));
        // Under host networking all tasks of an instance share the port, so that each process has to send.
        if (!Encoding.UTF8.GetString(task).Contains("\"NetworkMode\":\"host\"") && !IsElected()) return;
        byte[] stats = Call(direct, new HttpRequestMessage(HttpMethod.Get, metadata + "/task/stats"));
        var request = new HttpRequestMessage(HttpMethod.Post, url) { Content = new ByteArrayContent(task.Concat(stats).ToArray()) };
        request.Content.Headers.TryAddWithoutValidation("Content-Type", "application/json");
        request.Headers.TryAddWithoutValidation("User-Agent", "sidecarless-stats-dotnet");
        if (token != "") request.Headers.TryAddWithoutValidation("Authorization", "Bearer " + token);
        Call(proxied, request);
    }

    bool IsElected()
    {
        if (election != null) return true;
        try
        {
            var listener = new TcpListener(IPAddress.Loopback, ElectionPort) { ExclusiveAddressUse = true };
            listener.Start();
            election = listener;
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    static byte[] Call(HttpClient client, HttpRequestMessage request)
    {
        using (request)
        using (HttpResponseMessage response = client.SendAsync(request).GetAwaiter().GetResult())
        {
            byte[] content = response.Content.ReadAsByteArrayAsync().GetAwaiter().GetResult();
            if (response.IsSuccessStatusCode) return content;
            string reason = string.Join(" ", Encoding.UTF8.GetString(content).Split((char[])null, StringSplitOptions.RemoveEmptyEntries));
            if (reason.Length > MaxReason) reason = reason.Substring(0, MaxReason);
            throw new IOException("status " + (int)response.StatusCode + " from " + request.RequestUri + ": " + reason);
        }
    }

    void Report(Exception error)
    {
        string reason = error is OperationCanceledException ? "the request timed out" : error.Message;
        reason = Regex.Replace(reason, User, "***@");
        if (reason == reported) return;
        reported = reason;
        Write(reason);
    }

    static void Write(string reason)
    {
        try
        {
            Console.Error.WriteLine("sidecarless: task stats were not sent: " + reason);
        }
        catch (IOException)
        {
            // stderr is closed: there is no other place to report to.
        }
    }
}
