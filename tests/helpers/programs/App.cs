// An application that starts the helper twice and works until its standard input ends: INTERVAL.
using System;
using System.Globalization;

public static class App
{
    public static void Main(string[] arguments)
    {
        SidecarlessStats.Start(double.Parse(arguments[0], CultureInfo.InvariantCulture));
        SidecarlessStats.Start(double.Parse(arguments[0], CultureInfo.InvariantCulture));
        Console.WriteLine("started");
        Console.In.ReadToEnd();
        Console.WriteLine("finished");
    }
}
