// Sends what the X-Ray remote sampler for Go sends (opentelemetry-go-contrib, client.go of 06c46b8): ENDPOINT. It replaces the path of the endpoint.
package main

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
)

const statistics = `{"SamplingStatisticsDocuments":[{"ClientID":"0123456789abcdef01234567","RuleName":"everything","RequestCount":3,` +
	`"BorrowCount":0,"SampledCount":3,"Timestamp":1795921445}]}`

func main() {
	endpoint, err := url.Parse(os.Args[1])
	if err != nil {
		panic(err)
	}
	fmt.Println(post(*endpoint, "/GetSamplingRules", `{"NextToken": null}`), post(*endpoint, "/SamplingTargets", statistics))
}

func post(endpoint url.URL, path, body string) int {
	endpoint.Path = path
	request, err := http.NewRequest(http.MethodPost, endpoint.String(), strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		panic(err)
	}
	response.Body.Close()
	return response.StatusCode
}
