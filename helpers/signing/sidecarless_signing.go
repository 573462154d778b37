// Signs requests to sidecarless with the credentials of the task role, for Ingress=url-iam and Ingress=lattice.
//
//	client := &http.Client{Transport: sidecarless.SignedTransport(nil), Timeout: 10 * time.Second}
//	otlptracehttp.New(ctx, otlptracehttp.WithHTTPClient(client))
//
// Go 1.16 or later, no dependency. helpers/signing/README.md describes the environment variables.

package sidecarless

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"sort"
	"strings"
	"sync"
	"time"
)

// Host names of Function URLs and of VPC Lattice services.
var signedHost = regexp.MustCompile(`\.(lambda-url|vpc-lattice-svcs)\.([a-z0-9-]+)\.on\.aws$`)

// Credentials are replaced this long before they expire.
const refreshBefore = 5 * time.Minute

// Credentials are those of a role.
type Credentials struct {
	AccessKeyId     string
	SecretAccessKey string
	Token           string
	Expiration      time.Time
}

type signedTransport struct {
	credentials func() (Credentials, error)
}

// SignedTransport returns a transport that signs every request. The argument returns the credentials, by default those of the task role.
func SignedTransport(credentials func() (Credentials, error)) http.RoundTripper {
	if credentials == nil {
		credentials = (&taskCredentials{}).get
	}
	return signedTransport{credentials}
}

func (transport signedTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	var body []byte
	if request.Body != nil {
		var err error
		body, err = io.ReadAll(request.Body)
		request.Body.Close()
		if err != nil {
			return nil, err
		}
	}
	credentials, err := transport.credentials()
	if err != nil {
		return nil, fmt.Errorf("no credentials of the task role: %w", err)
	}
	// A transport must not change the request that it gets.
	signed := request.Clone(request.Context())
	signed.Body, signed.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	signed.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	Sign(signed, body, credentials, time.Now())
	return http.DefaultTransport.RoundTrip(signed)
}

// Sign adds the headers that sign a request (AWS IAM User Guide, "Create a signed AWS API request").
func Sign(request *http.Request, body []byte, credentials Credentials, now time.Time) {
	host := request.URL.Host
	service, region := signingScope(request.URL.Hostname())
	timestamp := now.UTC().Format("20060102T150405Z")
	date := timestamp[:8]
	// VPC Lattice does not support signed payloads, and Lambda requires them.
	digest := "UNSIGNED-PAYLOAD"
	if service != "vpc-lattice-svcs" {
		digest = hexDigest(body)
	}
	headers := [][2]string{{"host", host}, {"x-amz-content-sha256", digest}, {"x-amz-date", timestamp}}
	if credentials.Token != "" {
		headers = append(headers, [2]string{"x-amz-security-token", credentials.Token})
	}
	var lines, names []string
	for _, header := range headers {
		lines, names = append(lines, header[0]+":"+header[1]+"\n"), append(names, header[0])
		if header[0] != "host" {
			request.Header.Set(header[0], header[1])
		}
	}
	signedHeaders := strings.Join(names, ";")
	canonical := []string{request.Method, canonicalPath(request.URL), canonicalQuery(request.URL), strings.Join(lines, ""), signedHeaders, digest}
	scope := strings.Join([]string{date, region, service, "aws4_request"}, "/")
	text := strings.Join([]string{"AWS4-HMAC-SHA256", timestamp, scope, hexDigest([]byte(strings.Join(canonical, "\n")))}, "\n")
	key := []byte("AWS4" + credentials.SecretAccessKey)
	for _, part := range []string{date, region, service, "aws4_request"} {
		key = keyedDigest(key, part)
	}
	signature := hex.EncodeToString(keyedDigest(key, text))
	request.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s",
		credentials.AccessKeyId, scope, signedHeaders, signature))
}

// signingScope returns service and region of a host. Of an own domain, they are in AWS_SIGV4_SERVICE and AWS_REGION.
func signingScope(host string) (string, string) {
	if found := signedHost.FindStringSubmatch(host); found != nil {
		return strings.Replace(found[1], "lambda-url", "lambda", 1), found[2]
	}
	service := os.Getenv("AWS_SIGV4_SERVICE")
	if service == "" {
		service = "lambda"
	}
	return service, os.Getenv("AWS_REGION")
}

func canonicalPath(address *url.URL) string {
	var parts []string
	for _, part := range strings.Split(address.EscapedPath(), "/") {
		if part != "" {
			parts = append(parts, strings.ReplaceAll(url.QueryEscape(part), "+", "%20"))
		}
	}
	return "/" + strings.Join(parts, "/")
}

func canonicalQuery(address *url.URL) string {
	parts := strings.Split(address.RawQuery, "&")
	sort.Strings(parts)
	return strings.Join(parts, "&")
}

func hexDigest(data []byte) string {
	digest := sha256.Sum256(data)
	return hex.EncodeToString(digest[:])
}

func keyedDigest(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// taskCredentials are those of the endpoint of ECS, or of the environment variables of the AWS SDKs.
type taskCredentials struct {
	mutex sync.Mutex
	found Credentials
}

func (cache *taskCredentials) get() (Credentials, error) {
	if key := os.Getenv("AWS_ACCESS_KEY_ID"); key != "" {
		return Credentials{AccessKeyId: key, SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY"), Token: os.Getenv("AWS_SESSION_TOKEN")}, nil
	}
	cache.mutex.Lock()
	defer cache.mutex.Unlock()
	if time.Until(cache.found.Expiration) > refreshBefore {
		return cache.found, nil
	}
	found, err := readCredentials()
	if err == nil {
		cache.found = found
	}
	// The path of the endpoint is a secret, and an error of the client names it.
	var failed *url.Error
	if errors.As(err, &failed) {
		err = failed.Err
	}
	return found, err
}

func readCredentials() (found Credentials, err error) {
	address := os.Getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI")
	if path := os.Getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"); path != "" {
		address = "http://169.254.170.2" + path
	}
	if address == "" {
		return found, errors.New("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is not set, so the task has no role")
	}
	request, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return found, err
	}
	if token := os.Getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN"); token != "" {
		request.Header.Set("Authorization", token)
	}
	// A transport of its own: the endpoint is never behind the proxy of HTTP_PROXY.
	client := http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return found, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return found, fmt.Errorf("the endpoint of ECS returned %s", response.Status)
	}
	return found, json.NewDecoder(response.Body).Decode(&found)
}
