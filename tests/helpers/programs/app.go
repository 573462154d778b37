// An application that starts the helper twice and works until its standard input ends: INTERVAL.
package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"app/sidecarless"
)

func main() {
	interval, _ := time.ParseDuration(os.Args[1] + "s")
	sidecarless.Start(interval)
	sidecarless.Start(interval)
	fmt.Println("started")
	_, _ = io.ReadAll(os.Stdin)
	fmt.Println("finished")
}
