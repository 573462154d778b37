// Signs what its standard input says: a line `vector METHOD URL BODY KEY SECRET TOKEN TIME` or `send URL BODY`, separated by tabs.
package main

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"app/sidecarless"
)

func main() {
	client := http.Client{Transport: sidecarless.SignedTransport(nil), Timeout: 10 * time.Second}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		values := strings.Split(lines.Text(), "\t")
		if values[0] == "vector" {
			request, err := http.NewRequest(values[1], values[2], nil)
			if err != nil {
				panic(err)
			}
			now, err := time.Parse(time.RFC3339, values[7])
			if err != nil {
				panic(err)
			}
			credentials := sidecarless.Credentials{AccessKeyId: values[4], SecretAccessKey: values[5], Token: values[6]}
			sidecarless.Sign(request, []byte(values[3]), credentials, now)
			fmt.Println(request.Header.Get("Authorization"))
			continue
		}
		response, err := client.Post(values[1], "application/json", strings.NewReader(values[2]))
		if err != nil {
			fmt.Println("error:", err)
			continue
		}
		response.Body.Close()
		fmt.Println(response.StatusCode)
	}
}
