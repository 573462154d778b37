// Signs requests to sidecarless with the credentials of the task role, for Ingress=url-iam and Ingress=lattice.
//
//     options.HttpClientFactory = () => new HttpClient(new SidecarlessSigning());
//
// .NET Core 3.1, .NET 5 or later, no dependency. helpers/signing/README.md describes the environment variables.

using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Http;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using System.Threading;
using System.Threading.Tasks;

/// <summary>Signs every request.</summary>
public sealed class SidecarlessSigning : DelegatingHandler
{
    // Host names of Function URLs and of VPC Lattice services.
    static readonly Regex Host = new Regex(@"\.(lambda-url|vpc-lattice-svcs)\.([a-z0-9-]+)\.on\.aws$");
    // Credentials are replaced this long before they expire.
    static readonly TimeSpan Refresh = TimeSpan.FromMinutes(5);
    static readonly TimeSpan CredentialsTimeout = TimeSpan.FromSeconds(3);
    static readonly SemaphoreSlim Reading = new SemaphoreSlim(1);
    static Credentials cached;
    readonly Func<Task<Credentials>> credentials;

    /// <summary>The credentials of a role.</summary>
    public sealed class Credentials
    {
        public string Key { get; set; }
        public string Secret { get; set; }
        public string Token { get; set; }
        public DateTimeOffset Expiration { get; set; }
    }

    /// <summary>The argument returns the credentials, by default those of the task role.</summary>
    public SidecarlessSigning(Func<Task<Credentials>> credentials = null) : base(new HttpClientHandler { AllowAutoRedirect = false })
    {
        this.credentials = credentials ?? TaskCredentials;
    }

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellation)
    {
        await Sign(request).ConfigureAwait(false);
        return await base.SendAsync(request, cancellation).ConfigureAwait(false);
    }

#if NET5_0_OR_GREATER
    // The exporter sends from a thread of its own, which may wait.
    protected override HttpResponseMessage Send(HttpRequestMessage request, CancellationToken cancellation)
    {
        Sign(request).GetAwaiter().GetResult();
        return base.Send(request, cancellation);
    }
#endif

    async Task Sign(HttpRequestMessage request)
    {
        byte[] body = request.Content == null ? new byte[0] : await request.Content.ReadAsByteArrayAsync().ConfigureAwait(false);
        Credentials found = await credentials().ConfigureAwait(false);
        foreach (var header in Signature(request.Method.Method, request.RequestUri, body, found, DateTimeOffset.UtcNow))
        {
            request.Headers.Remove(header.Key);
            request.Headers.TryAddWithoutValidation(header.Key, header.Value);
        }
    }

    // Returns the headers that sign a request (AWS IAM User Guide, "Create a signed AWS API request").
    internal static IDictionary<string, string> Signature(string method, Uri url, byte[] body, Credentials found, DateTimeOffset now)
    {
        string[] scope = Scope(url.Host);
        string time = now.UtcDateTime.ToString("yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture), date = time.Substring(0, 8);
        // VPC Lattice does not support signed payloads, and Lambda requires them.
        string digest = scope[0] == "vpc-lattice-svcs" ? "UNSIGNED-PAYLOAD" : Sha256(body);
        var headers = new SortedDictionary<string, string>(StringComparer.Ordinal)
        {
            { "host", url.Authority }, { "x-amz-content-sha256", digest }, { "x-amz-date", time },
        };
        if (!string.IsNullOrEmpty(found.Token)) headers["x-amz-security-token"] = found.Token;
        string names = string.Join(";", headers.Keys), lines = string.Concat(headers.Select(header => header.Key + ":" + header.Value + "\n"));
        string path = string.Join("/", Parts(url.AbsolutePath, '/').Select(Uri.EscapeDataString));
        string query = string.Join("&", Parts(url.Query.TrimStart('?'), '&').OrderBy(part => part, StringComparer.Ordinal));
        string canonical = string.Join("\n", method, "/" + path, query, lines, names, digest);
        string credential = string.Join("/", date, scope[1], scope[0], "aws4_request");
        string text = string.Join("\n", "AWS4-HMAC-SHA256", time, credential, Sha256(Encoding.UTF8.GetBytes(canonical)));
        byte[] key = Encoding.UTF8.GetBytes("AWS4" + found.Secret);
        foreach (string part in credential.Split('/')) key = Hmac(key, part);
        string signature = Hex(Hmac(key, text));
        headers["authorization"] = "AWS4-HMAC-SHA256 Credential=" + found.Key + "/" + credential + ", SignedHeaders=" + names + ", Signature=" + signature;
        // HttpClient sets it.
        headers.Remove("host");
        return headers;
    }

    // Returns service and region of a host. Of an own domain, they are in AWS_SIGV4_SERVICE and AWS_REGION.
    static string[] Scope(string host)
    {
        Match found = Host.Match(host);
        if (found.Success) return new[] { found.Groups[1].Value.Replace("lambda-url", "lambda"), found.Groups[2].Value };
        return new[] { Variable("AWS_SIGV4_SERVICE") ?? "lambda", Variable("AWS_REGION") ?? "" };
    }

    static IEnumerable<string> Parts(string text, char separator)
    {
        return text.Split(separator).Where(part => part != "");
    }

    static string Variable(string name)
    {
        string value = Environment.GetEnvironmentVariable(name);
        return string.IsNullOrEmpty(value) ? null : value;
    }

    static string Sha256(byte[] data)
    {
        using (var sha256 = SHA256.Create()) return Hex(sha256.ComputeHash(data));
    }

    static byte[] Hmac(byte[] key, string text)
    {
        using (var hmac = new HMACSHA256(key)) return hmac.ComputeHash(Encoding.UTF8.GetBytes(text));
    }

    static string Hex(byte[] data)
    {
        return string.Concat(data.Select(value => value.ToString("x2", CultureInfo.InvariantCulture)));
    }

    // Returns the credentials of the task role, from the endpoint of ECS, or from the environment variables of the AWS SDKs.
    static async Task<Credentials> TaskCredentials()
    {
        string key = Variable("AWS_ACCESS_KEY_ID");
        if (key != null) return new Credentials { Key = key, Secret = Variable("AWS_SECRET_ACCESS_KEY"), Token = Variable("AWS_SESSION_TOKEN") };
        await Reading.WaitAsync().ConfigureAwait(false);
        try
        {
            if (cached == null || DateTimeOffset.UtcNow > cached.Expiration - Refresh) cached = await ReadCredentials().ConfigureAwait(false);
            return cached;
        }
        finally
        {
            Reading.Release();
        }
    }

    static async Task<Credentials> ReadCredentials()
    {
        string path = Variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"), token = Variable("AWS_CONTAINER_AUTHORIZATION_TOKEN");
        string address = path == null ? Variable("AWS_CONTAINER_CREDENTIALS_FULL_URI") : "http://169.254.170.2" + path;
        if (address == null) throw new HttpRequestException("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is not set, so the task has no role");
        // The endpoint is never behind the proxy of HTTP_PROXY.
        using (var direct = new HttpClient(new HttpClientHandler { UseProxy = false }) { Timeout = CredentialsTimeout })
        {
            var request = new HttpRequestMessage(HttpMethod.Get, address);
            if (token != null) request.Headers.TryAddWithoutValidation("Authorization", token);
            HttpResponseMessage response = await direct.SendAsync(request).ConfigureAwait(false);
            string document = await response.Content.ReadAsStringAsync().ConfigureAwait(false);
            if (response.StatusCode != HttpStatusCode.OK) throw new HttpRequestException("the endpoint of ECS returned status " + (int)response.StatusCode);
            return new Credentials
            {
                Key = Field(document, "AccessKeyId"), Secret = Field(document, "SecretAccessKey"), Token = Field(document, "Token"),
                Expiration = DateTimeOffset.Parse(Field(document, "Expiration"), CultureInfo.InvariantCulture),
            };
        }
    }

    // Returns a text of a flat JSON object whose texts contain no escapes, which those of the endpoint do not.
    static string Field(string document, string name)
    {
        Match found = Regex.Match(document, "\"" + name + "\"\\s*:\\s*\"([^\"\\\\]*)\"");
        if (!found.Success) throw new HttpRequestException("the document of the endpoint of ECS has no " + name);
        return found.Groups[1].Value;
    }
}
