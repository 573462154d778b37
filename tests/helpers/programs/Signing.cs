// Signs what its standard input says: a line `vector METHOD URL BODY KEY SECRET TOKEN TIME` or `send URL BODY`, separated by tabs.
using System;
using System.Globalization;
using System.Net.Http;
using System.Text;

public static class App
{
    public static void Main()
    {
        var client = new HttpClient(new SidecarlessSigning());
        for (string line = Console.ReadLine(); line != null; line = Console.ReadLine())
        {
            string[] values = line.Split('\t');
            Console.WriteLine(values[0] == "vector" ? Vector(values) : Send(client, values[1], values[2]));
        }
    }

    static string Vector(string[] values)
    {
        var found = new SidecarlessSigning.Credentials { Key = values[4], Secret = values[5], Token = values[6] };
        var now = DateTimeOffset.Parse(values[7], CultureInfo.InvariantCulture);
        return SidecarlessSigning.Signature(values[1], new Uri(values[2]), Encoding.UTF8.GetBytes(values[3]), found, now)["authorization"];
    }

    static string Send(HttpClient client, string url, string body)
    {
        try
        {
            return ((int)client.PostAsync(url, new StringContent(body)).GetAwaiter().GetResult().StatusCode).ToString(CultureInfo.InvariantCulture);
        }
        catch (Exception error)
        {
            return "error: " + error.GetBaseException().Message;
        }
    }
}
