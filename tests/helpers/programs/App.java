/** An application that starts the helper twice and works until its standard input ends: INTERVAL. */
public final class App {
    public static void main(String[] arguments) throws java.io.IOException {
        SidecarlessStats.start(Long.parseLong(arguments[0]));
        SidecarlessStats.start(Long.parseLong(arguments[0]));
        System.out.println("started");
        System.in.readAllBytes();
        System.out.println("finished");
    }
}
